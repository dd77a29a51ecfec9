"""uvicorn's HTTP/1.1, with an end for whoever holds a connection and does nothing with it.

uvicorn closes a connection that is idle between two requests (`--timeout-keep-alive`), but waits
for ever for a first request, for the rest of a head, and for a reader who takes no more. Who is cut
off here counts for everybody above as a browser that has gone: answers are closed, places given
back. Bodies of requests have their deadline in `core/web/body_limit.py`.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import h11
from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

# From the connection, or from a request's first byte, until its head is complete.
HEAD_SECONDS = 10.0
# A reader who takes less than `UNSENT_BYTES` in this time has stopped reading.
STALLED_SECONDS = 60.0
# What the kernel holds of an answer before its reader has made room for it.
UNSENT_BYTES = 128 * 1024
# Tests shorten all waits; a loaded machine still needs a moment to send what it has.
_LEAST_SECONDS = 2.0


class BoundedH11(H11Protocol):
    """One connection; see the module."""

    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None
    _is_socket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Else the kernel takes megabytes ahead of a slow reader, who then seems to read nothing.
        found = transport.get_extra_info("socket")
        if found is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with suppress(OSError):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head()
        self._stop_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # uvicorn has none before the first request, whatever its annotation says.
        if getattr(self.cycle, "response_complete", True):
            self._await_head()
        else:
            self._stop_head()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_socket = True
        self._stop_head()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        """More is waiting to be read than a reader who reads would leave."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        self._stop_reader()
        super().resume_writing()
        if self.cycle.response_complete and self.transport.get_write_buffer_size():
            self._await_reader()  # the rest has nobody who would pause again

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reader is None and self.transport.get_write_buffer_size():
            self._await_reader()

    def _await_head(self) -> None:
        """From now on, unless that is running already: a byte now and then does not help."""
        if self._head is None and not self._is_socket:
            self._head = self._after(HEAD_SECONDS, self.transport.abort)

    def _await_reader(self) -> None:
        self._stop_reader()
        cycle = self.cycle

        def give_up() -> None:
            self._reader = None
            is_last = self.cycle is cycle and self.transport.get_write_buffer_size() > 0
            if is_last or self.flow.write_paused:
                self.transport.abort()

        self._reader = self._after(STALLED_SECONDS, give_up)

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(max(_LEAST_SECONDS, seconds * settings.TIME_SCALE), call)
