"""A keeper holds the sessions of the machines that it has leased, and makes the rows come true.

One thread decides (`_loop`): it renews the lease, claims machines, compares what each row wishes
with what is held, and writes what it finds under the machine's epoch. Everything slow – logging
in – runs in a bounded pool and reports back through the inbox; reading runs on the drain. Neither
Redis nor Celery is needed to keep sessions alive: they only wake the thread earlier.

The deciding thread has a database connection of its own: however many requests, tasks and log-ins
hold the pool, the lease is renewed. A thread that dies is started again, and health says so
(`core.background.threads`).
"""

import logging
import math
import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DataError, IntegrityError, close_old_connections
from django.db import Error as DatabaseError

from connections import broadcast, ssh
from connections.keeper import leases
from connections.keeper.backoff import after_failure
from connections.keeper.connect import open_link
from connections.keeper.leases import LeaseLost
from connections.keeper.link import Link
from connections.keeper.machine_state import MachineState, Row
from connections.keeper.write_state import State, write_state
from connections.models import Connection, Reason, Status
from connections.ssh.reader import StreamReader
from core.background import isolation, own_connection, threads
from core.hooks import Hook, name_of

logger = logging.getLogger(__name__)

CONNECT_THREADS = 24
PULSE_SECONDS = 10.0
# Past this the pulse's thread hangs, which is a fault that health tells.
PULSE_PATIENCE_SECONDS = 25.0
# A login shell that has shown nothing of our program by then cannot be used.
SHELL_SECONDS = 12.0
STALE_INTERVALS = 3
LOST_INTERVALS = 5
LOOKS_PER_TICK = 4
# Retries that are due within this time of each other are made in one tick.
RETRIES_TOGETHER_SECONDS = 0.25

# Called for every session, on a pool thread, before it counts as connected. It is connected once
# something calls `link.progress()`.
on_connected: Hook[[Link], None] = Hook("a machine's session is open")
# Called on the reading thread after each round, at least every 0.1 s.
on_round: Hook[[], None] = Hook("a round of reading is over")

_UNSTORABLE = "What was said about this machine cannot be stored; the site's log says more."


class Report(NamedTuple):
    """What another thread has to say about a machine."""

    connection_id: UUID
    call: Callable[[], None]


class Keeper:
    """Leases, sessions and their threads, of one process."""

    def __init__(self, *, holds_local: bool = False) -> None:
        self.id = uuid.uuid4()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.holds_local = holds_local
        self._held: dict[UUID, MachineState] = {}
        self._epochs: dict[UUID, int] = {}
        self._renewed = 0.0
        self._inbox: queue.SimpleQueue[Report] = queue.SimpleQueue()
        # Something is to be done before the next tick; `_asked`: that tick itself.
        self._wake = threading.Event()
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CONNECT_THREADS, thread_name_prefix="connect")
        self._drain = StreamReader(self._round)
        self._pulsing = threads.Loop(
            "pulse",
            "the pulse of the machines",
            self._pulse_loop,
            patience_seconds=PULSE_PATIENCE_SECONDS,
        )
        self._threads = [threads.Loop("keeper", "keeping the machines", self._loop), self._pulsing]

    # --- From other threads ---------------------------------------------------------------

    def start(self) -> None:
        self._drain.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close all sessions and give the machines to the others; takes at most a few seconds."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.end()
        self._threads[0].join(timeout=2)
        self._drop_all()
        self._drain.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        try:
            leases.retire(self.id)
        except DatabaseError as error:
            logger.warning("leases not given back, they end by themselves: %s", error)

    def wake(self) -> None:
        """Look at the rows now."""
        self._asked.set()
        self._wake.set()

    def watch(self) -> None:
        """Look for silent machines now; asks nothing of the database unless there is one."""
        threads.look()  # the deciding thread itself may be what died
        self._wake.set()

    def holdings(self) -> dict[UUID, int]:
        """Connection id → epoch of what this keeper may write about.

        Empty when the lease could not be renewed for a TTL: somebody else may hold it all.
        """
        return self._epochs if self._lease_is_valid() else {}

    # --- The deciding thread ----------------------------------------------------------------

    def _loop(self) -> None:
        with own_connection.held():
            self._decide()

    def _decide(self) -> None:
        next_tick = 0.0
        while not self._stopping.is_set():
            if self._inbox.empty():
                # Silence is looked for between the ticks as well: it costs no query.
                longest = settings.SAMPLE_SECONDS / LOOKS_PER_TICK
                self._wake.wait(timeout=min(longest, max(0.0, next_tick - time.monotonic())))
            self._wake.clear()
            try:
                # While hundreds of machines connect there is always a report, and each writes to
                # the database: the lease has to be renewed in between.
                self._handle_inbox(until=max(next_tick, time.monotonic() + 0.5))
                if self._asked.is_set() or time.monotonic() >= next_tick:
                    self._asked.clear()
                    next_tick = time.monotonic() + settings.SAMPLE_SECONDS
                    self._tick()
                self._watch()
                next_tick = min(next_tick, self._first_retry())
            except Exception as error:
                if not isolation.is_down(error):
                    logger.exception("keeper: a tick failed")
                    continue
                logger.error("keeper: the database does not answer: %s", error)
                next_tick = time.monotonic() + settings.SAMPLE_SECONDS
            finally:
                close_old_connections()

    def _handle_inbox(self, until: float) -> None:
        while not self._inbox.empty() and time.monotonic() < until:
            isolation.each(
                [self._inbox.get()],
                self._hear,
                name="keeper's report of",
                key=lambda report: report.connection_id,
                rests=False,
            )

    def _hear(self, report: Report) -> None:
        self._unless_lost(report.connection_id, report.call)

    def _unless_lost(self, connection_id: UUID, work: Callable[[], None]) -> None:
        """Do `work` about a machine; what turns out to be somebody else's is let go of."""
        try:
            work()
        except LeaseLost:
            self._drop(connection_id)

    def _tick(self) -> None:
        if self._held and not self._lease_is_valid():
            logger.warning("keeper: the lease ended; closing %d sessions", len(self._held))
            self._drop_all()
        self._renew()
        leases.settle(self.id, holds_local=self.holds_local)
        self._reconcile(self._own_rows())

    def _renew(self) -> None:
        asked_at = time.monotonic()
        trouble = ", ".join(threads.look())
        leases.renew(self.id, self.name, holds_local=self.holds_local, trouble=trouble)
        self._renewed = asked_at

    def _own_rows(self) -> dict[UUID, Row]:
        rows = Connection.objects.filter(owner_id=self.id).values_list(*Row._fields)
        return {row[0]: Row(*row) for row in rows}

    def _reconcile(self, rows: dict[UUID, Row]) -> None:
        """Make what is held what the rows say."""
        for gone in self._held.keys() - rows.keys():
            self._drop(gone)
        for row in rows.values():
            # Opening hundreds of machines writes hundreds of states, which takes its time.
            if time.monotonic() - self._renewed > settings.SAMPLE_SECONDS:
                if not self._lease_is_valid():
                    return  # the next tick closes everything
                self._renew()
            isolation.each(
                [row],
                lambda row: self._unless_lost(row.id, partial(self._reconcile_one, row)),
                name="keeper's look at",
                key=lambda row: row.id,
                failed=self._say_failed,
            )
        self._epochs = {id_: held.row.epoch for id_, held in self._held.items()}

    def _reconcile_one(self, row: Row) -> None:
        if not row.is_active or row.deleted_at is not None:
            self._end(row)
            return
        held = self._held.get(row.id)
        if held is None or held.row.epoch != row.epoch:
            self._drop(row.id)
            held = self._held[row.id] = MachineState(row)
            self._open(held)
            return
        before, held.row = held.row, row
        if held.unwritten is not None:
            self._write(held, held.unwritten)
        if row.revision != before.revision:
            held.forget_attempts()
            self._open(held)
        elif row.retry_now_at != before.retry_now_at and held.link is None:
            held.forget_attempts()
            if not held.has_young_attempt():
                self._open(held)
        elif held.is_retry_due():
            self._open(held)

    def _say_failed(self, row: Row, error: Exception) -> None:
        """Say on the machine's row that the site itself cannot go on with it; all else stays."""
        detail = f"The site failed to look after this machine ({type(error).__name__})."
        with suppress(LeaseLost):
            with leases.fenced(row.id, row.epoch, keeper_id=self.id, changes=True):
                Connection.objects.filter(pk=row.id).update(detail=detail)
            broadcast.connections([row.id])

    def _first_retry(self) -> float:
        """When the tick is to come in which the next retry is due."""
        due = [
            held.retry_at
            for held in self._held.values()
            if held.retry_at is not None and not held.connecting and held.link is None
        ]
        return max(min(due, default=math.inf), time.monotonic() + RETRIES_TOGETHER_SECONDS)

    def _end(self, row: Row) -> None:
        """The wish is gone: close, say so, and let go of the machine."""
        self._drop(row.id)
        if row.status != Status.DISCONNECTED:
            write_state(self.id, row.id, row.epoch, State(Status.DISCONNECTED))
        leases.give_back(self.id, [row.id])

    def _open(self, held: MachineState) -> None:
        """Start an attempt in the place of what there is; it reports back through the inbox."""
        held.close()
        held.stopped, held.retry_at = False, None
        if held.row.status != Status.CONNECTING:
            self._write(held, State(Status.CONNECTING))
        # Not before: without the database the next tick tries again.
        held.opening = self._new_link(held.row)
        self._pool.submit(self._attempt, held, held.opening)

    def _opened(self, held: MachineState, link: Link) -> None:
        if held.opening is not link:
            link.close()
            return
        held.opening, held.link = None, link
        if link.is_ready:
            self._ready(link)
        if link.session is not None:
            Connection.objects.filter(pk=held.row.id, host_key_type="").update(
                host_key_type=link.session.host_key_type
            )

    def _ready(self, link: Link) -> None:
        held = self._held.get(link.connection_id)
        if held is None or held.link is not link:  # `_opened` has yet to come, or it is over
            return
        if link.is_counted:  # `_opened` saw it before the report came
            return
        link.is_counted = True
        logger.info("connected %s", link)
        self._write(held, State(Status.CONNECTED))

    def _failed(self, held: MachineState, link: Link, error: ssh.ConnectError) -> None:
        if held.opening is not link:
            return
        held.opening = None
        self._retry_or_stop(held, error)

    def _lost(self, link: Link, reason: str, detail: str) -> None:
        link.close()
        held = self._held.get(link.connection_id)
        if held is None or link not in (held.link, held.opening):
            return
        held.link = held.opening = None
        held.count_loss(link)
        self._retry_or_stop(held, ssh.ConnectError(reason, detail))

    def _retry_or_stop(self, held: MachineState, error: ssh.ConnectError) -> None:
        held.failures += 1
        retry = after_failure(error.reason, held.failures, settings.RECONNECT_SECONDS)
        held.stopped = retry.seconds is None
        held.retry_at = None if retry.seconds is None else time.monotonic() + retry.seconds
        logger.warning(
            "connection=%s %s: %s (retry in %s s)",
            held.row.id,
            error.reason,
            error.detail,
            None if retry.seconds is None else round(retry.seconds, 1),
        )
        self._write(
            held,
            State(
                Status.ERROR if held.stopped else Status.CONNECTING,
                error.reason,
                error.detail,
                retry.seconds,
                error.offered_host_key,
            ),
        )

    def _watch(self) -> None:
        """Find the machines that went silent; the machine's own pulse is the only proof."""
        isolation.each(
            list(self._held.values()),
            lambda held: self._unless_lost(held.row.id, partial(self._watch_held, held)),
            name="keeper's watch over",
            key=lambda held: held.row.id,
        )

    def _watch_held(self, held: MachineState) -> None:
        if held.link is not None:
            held.link.spend_on_transport()
            self._watch_one(held, held.link, settings.SAMPLE_SECONDS)

    def _watch_one(self, held: MachineState, link: Link, interval: float) -> None:
        silence = link.silence()
        if not link.is_ready:
            if silence > SHELL_SECONDS:
                self._lost(link, Reason.UNUSABLE_SHELL, "The login shell does not run commands.")
        elif silence > LOST_INTERVALS * interval:
            self._lost(link, Reason.UNREACHABLE, f"No data for {silence:.0f} s.")
        elif (silence > STALE_INTERVALS * interval) != link.stale:
            link.stale = not link.stale
            reason = Reason.STALE if link.stale else ""
            self._write(held, State(Status.CONNECTED, reason))

    def _write(self, held: MachineState, state: State) -> None:
        held.unwritten = state
        try:
            write_state(self.id, held.row.id, held.row.epoch, state)
        except (DataError, IntegrityError, ValueError):
            # Its words cannot be stored: the state is what counts, and it would never be written.
            logger.exception("connection=%s: a state cannot be written as it is", held.row.id)
            plain = State(state.status, state.reason, _UNSTORABLE, state.retry_seconds)
            write_state(self.id, held.row.id, held.row.epoch, plain)
        held.unwritten = None
        held.row = held.row._replace(status=state.status)

    def _drop(self, connection_id: UUID) -> None:
        """No longer ours: close without a word."""
        held = self._held.pop(connection_id, None)
        if held is not None:
            held.close()

    def _drop_all(self) -> None:
        self._epochs = {}
        for connection_id in list(self._held):
            self._drop(connection_id)

    def _lease_is_valid(self) -> bool:
        return time.monotonic() - self._renewed < settings.KEEPER_TTL_SECONDS

    # --- Pool, drain and pulse threads --------------------------------------------------------

    def _report(self, connection_id: UUID, call: Callable[[], None]) -> None:
        self._inbox.put(Report(connection_id, call))
        self._wake.set()

    def _new_link(self, row: Row) -> Link:
        return Link(
            connection_id=row.id,
            team_id=row.team_id,
            name=row.name,
            transport=row.transport,
            epoch=row.epoch,
            drain=self._drain,
            on_ready=lambda link: self._report(row.id, lambda: self._ready(link)),
            on_lost=lambda link, reason, detail: self._report(
                row.id, lambda: self._lost(link, reason, detail)
            ),
        )

    def _attempt(self, held: MachineState, link: Link) -> None:
        """Log in and let the apps attach (pool thread)."""
        try:
            open_link(link, on_connected)
        except ssh.ConnectError as error:
            failure = error
            self._report(held.row.id, lambda: self._failed(held, link, failure))
        else:
            self._report(held.row.id, lambda: self._opened(held, link))

    def _round(self) -> None:
        isolation.each(
            on_round, lambda call: call(), name="the end of a round", key=name_of, rests=False
        )

    def _pulse_loop(self) -> None:
        """A pulse to every machine; none of them can hold this thread."""
        while not self._stopping.wait(PULSE_SECONDS):
            self._pulsing.beat()
            threads.look()
            isolation.each(
                [link for held in list(self._held.values()) if (link := held.link) is not None],
                self._pulse,
                name="a pulse to",
                key=lambda link: link.connection_id,
                rests=False,
            )

    def _pulse(self, link: Link) -> None:
        if link.silence() < LOST_INTERVALS * settings.SAMPLE_SECONDS:
            link.pulse()
