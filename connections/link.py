"""A machine that is connected, as the apps above see it: channels, bytes and a pulse."""

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID

from connections import ssh
from connections.drain import Drain, Stream

logger = logging.getLogger(__name__)

LinkCallback = Callable[["Link"], None]


class Link:
    """One session of one machine, from its opening to its end; it is never reopened.

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
        drain: Drain,
        on_ready: LinkCallback,
        on_lost: Callable[["Link", str, str], None],
    ) -> None:
        self.connection_id = connection_id
        self.team_id = team_id
        self.name = name
        self.transport = transport
        self.epoch = epoch
        self.session: ssh.Session | None = None
        self.opened = time.monotonic()
        self.last_progress = self.opened
        self.is_ready = False  # something has said `progress`
        self.is_counted = False  # and the keeper has written that it is connected
        self.stale = False
        self.closed = threading.Event()
        self._drain = drain
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._pulses: list[tuple[Stream, bytes]] = []

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
            self._drain, command, stdin, on_data=on_data, on_close=on_close
        )
        if pulse:
            self._pulses.append((stream, pulse))
        return stream

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
        """Let the commands on the machine know that we are still there."""
        for stream, data in self._pulses:
            try:
                stream.send(data)
            except OSError as error:
                logger.debug("%s: no pulse: %s", self, error)

    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self.last_progress

    def close(self) -> None:
        """End the session; safe to call twice."""
        self.closed.set()
        if self.session is not None:
            self.session.close()
