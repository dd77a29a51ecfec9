"""The deliveries of one process: one thread asks the database, a few others send.

Sending waits for receivers that may never answer, so senders know no database: they are given a row
with all that it needs, and say what became of it. The asking thread has a connection of its own.
Neither can hold up, nor be held up by, the tasks and the keeper that live in the same process.
"""

import logging
import queue
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import close_old_connections
from django.utils import timezone

from core.background import isolation, own_connection
from core.background.threads import Loop
from notifications.channels.outcome import Outcome
from notifications.delivery import claiming, sender
from notifications.models import Delivery

logger = logging.getLogger(__name__)

SENDERS = sum(lane.at_once for lane in claiming.LANES.values())


@dataclass(frozen=True, slots=True)
class Sent:
    """A try that is over, and has yet to be written down."""

    row: Delivery
    outcome: Outcome
    duration_ms: int


class Dispatcher:
    """Sends what is due whenever it is woken, until nothing is."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._unwritten: deque[Sent] = deque()
        self._under_way = 0
        self._is_stopping = False
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="send")
        self._loop = Loop("deliveries", "sending notifications", self._run)

    def wake(self) -> None:
        """Look now; returns at once."""
        self._loop.start()
        self._inbox.put(None)

    def stop(self) -> None:
        """Begin nothing more. What is being sent is still written down, if there is time for it."""
        self._is_stopping = True

    def close(self) -> None:
        """The same, and wait for the end of what is being sent."""
        self.stop()
        self._senders.shutdown()
        self._loop.end()
        self._inbox.put(None)
        self._loop.join(timeout=30)

    def _run(self) -> None:
        with own_connection.held():
            while self._loop.is_wanted or not self._inbox.empty():
                self._hear()
                self._work()

    def _hear(self) -> None:
        """Wait for a word, and take in all there are."""
        words = [self._inbox.get()]
        words += [self._inbox.get() for _ in range(self._inbox.qsize())]
        sent = [word for word in words if word is not None]
        self._under_way -= len(sent)
        self._unwritten.extend(sent)

    def _work(self) -> None:
        try:
            self._write_down()
            self._send_what_is_due()
        except Exception as error:  # the clock wakes us again in a few seconds
            if isolation.is_down(error):
                logger.error("deliveries: the database does not answer: %s", error)
            else:
                logger.exception("deliveries could not be looked after")
        finally:
            close_old_connections()

    def _write_down(self) -> None:
        while self._unwritten:
            isolation.each(
                [self._unwritten[0]],
                self._record,
                name="writing down delivery",
                key=lambda sent: sent.row.pk,
                failed=lambda sent, _: sender.record(
                    sent.row, sender.BROKEN, duration_ms=sent.duration_ms
                ),
                rests=False,
            )
            self._unwritten.popleft()

    def _record(self, sent: Sent) -> None:
        sender.record(sent.row, sent.outcome, duration_ms=sent.duration_ms)

    def _send_what_is_due(self) -> None:
        while self._under_way < SENDERS and not self._is_stopping:
            row = sender.claim(timezone.now())
            if row is None:
                return
            isolation.each([row], self._begin, name="beginning delivery", rests=False)

    def _begin(self, row: Delivery) -> None:
        if sender.is_wanted(row):
            self._under_way += 1
            self._senders.submit(self._send, row)

    def _send(self, row: Delivery) -> None:
        """One try, on a thread without a database."""
        began, outcome = time.monotonic(), sender.BROKEN
        try:
            outcome = sender.send(row)
        finally:
            self._inbox.put(Sent(row, outcome, round(1000 * (time.monotonic() - began))))


dispatcher = Dispatcher()
