"""A machine that is connected, as the apps above see it: channels, bytes and a pulse."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from connections import ssh
from connections.keeper.budget import CpuBudget
from connections.models import Reason
from connections.ssh.reader import Stream, StreamReader

logger = logging.getLogger(__name__)

# How often the threads of each session are looked at; one look costs some microseconds.
LOOK_SECONDS = 4.0
TOO_COSTLY = (
    "The site has stopped reading this machine: what it sends takes more time to read than a "
    "machine may cost. Look for a start-up file or a tool that prints without end."
)

# A command that hears nothing for 30 s ends itself; its machine is told apart from a dead one.
MOST_MISSED_PULSES = 2
TAKES_NOTHING = (
    "The machine's SSH server goes on sending but takes no heartbeat from the site. "
    "A key exchange that does not end, or a server that is no OpenSSH, may be the cause."
)

LinkCallback = Callable[["Link"], None]


@dataclass(slots=True)
class _Pulse:
    """What is sent to one command, and how often in a row the machine did not take it."""

    stream: Stream
    data: bytes
    missed: int = 0

    def send(self) -> None:
        self.missed = 0 if self.stream.send(self.data) else self.missed + 1


class Link:
    """One session of one machine, from its opening to its end; it is never reopened.

    A link that is closed never attaches anywhere any more: who keeps links looks at `closed`. So a
    log-in that a newer one has superseded can end whenever it likes.

    Whoever attaches to it opens streams, says `progress()` for every sign of life, and `fail()`
    when the session is of no use. `session` stays None for the site's own machine.
    """

    def __init__(
        self,
        *,
        connection_id: UUID,
        team_id: UUID,
        name: str,
        transport: str,
        epoch: int,
        drain: StreamReader,
        on_ready: LinkCallback,
        on_lost: Callable[["Link", str, str], None],
    ) -> None:
        self.connection_id = connection_id
        self.team_id = team_id
        self.name = name
        self.transport = transport
        self.epoch = epoch
        self.session: ssh.Session | None = None
        self.hang_up = ssh.HangUp()
        self.begun: float | None = None  # when its log-in was; None while it waits for a thread
        self.last_progress = time.monotonic()
        self.is_ready = False  # something has said `progress`
        self.is_counted = False  # and the keeper has written that it is connected
        self.stale = False
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._drain = drain
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._pulses: list[_Pulse] = []
        self.is_too_costly = False
        self._budget = CpuBudget()
        self._looked = 0.0
        self._transport_spent: float | None = None

    def __str__(self) -> str:
        return f"connection={self.connection_id} epoch={self.epoch}"

    def open_stream(
        self,
        command: str,
        stdin: bytes,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[int | None], None],
        pulse: bytes = b"",
    ) -> Stream:
        """Start a long-lived command; `pulse` goes to its stdin every few seconds from then on.

        The callbacks run on the keeper's one reading thread and must not block. Raises
        `ssh.SessionLost`.
        """
        if self.session is None:
            raise ssh.SessionLost("this machine has no SSH session")
        stream = self.session.open_stream(
            self._drain, command, stdin, on_data=on_data, on_close=on_close, spend=self.spend
        )
        if pulse:
            self._pulses.append(_Pulse(stream, pulse))
        return stream

    def enter(self, session: ssh.Session) -> None:
        """The log-in succeeded; a link that was closed meanwhile takes no session."""
        with self._lock:
            if not self.closed.is_set():
                self.session = session
                self.last_progress = time.monotonic()
                return
        session.close()
        raise ssh.given_up()

    def progress(self) -> None:
        """The machine is alive and understood; cheap enough for every sample."""
        self.last_progress = time.monotonic()
        if not self.is_ready:
            self.is_ready = True
            self._on_ready(self)

    def fail(self, reason: str, detail: str) -> None:
        """This session is of no use: the keeper closes it and decides what follows."""
        if not self.closed.is_set():
            self._on_lost(self, reason, detail)

    def pulse(self) -> None:
        """Let the commands on the machine know that we are still there; never waits for it.

        A machine that does not take it, several times in a row, has failed.
        """
        for pulse in self._pulses:
            try:
                pulse.send()
            except OSError as error:
                logger.debug("%s: no pulse: %s", self, error)
            if pulse.missed >= MOST_MISSED_PULSES:
                self.fail(Reason.SSH_UNRESPONSIVE, TAKES_NOTHING)

    def spend(self, seconds: float) -> bool:
        """Count CPU that this machine has cost; False once it is more than its share.

        Then the session has failed: it is the keeper's to close.
        """
        self.is_too_costly = self.is_too_costly or not self._budget.spend(seconds)
        if self.is_too_costly:
            self.fail(Reason.UNUSABLE_SHELL, TOO_COSTLY)
        return not self.is_too_costly

    def spend_on_transport(self) -> None:
        """Count what decrypting and answering this machine's packets has cost since the last look.

        A machine can send what no stream ever sees, without end.
        """
        now = time.monotonic()
        if self.session is None or now - self._looked < LOOK_SECONDS:
            return
        spent = self.session.cpu_seconds()
        before, self._transport_spent, self._looked = self._transport_spent, spent, now
        if spent is not None and before is not None:
            self.spend(max(0.0, spent - before))

    def has_lasted(self, seconds: float) -> bool:
        """Whether so long has gone by since its log-in began; one that waits has not begun."""
        if self.begun is None:
            return False
        return time.monotonic() - self.begun > seconds * settings.TIME_SCALE

    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self.last_progress

    def close(self) -> None:
        """End the session, or the log-in that is under way; safe to call twice."""
        with self._lock:
            self.closed.set()
        self.hang_up.call()
        if self.session is not None:
            self.session.close()
