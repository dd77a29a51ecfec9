"""One TCP connection to a simulated machine, on which the network can misbehave.

Bytes are carried between the client's socket and a socket pair that the SSH server reads, so that
a fault strikes as it would on a wire, whatever the two ends are doing.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_CHUNK_BYTES = 65536
_CLOSE_SECONDS = 5.0


@dataclass
class Wire:
    """The state of one machine's network, shared by all its connections.

    `flowing` is cleared while the machine is frozen. `banner` is sent in place of the SSH server's
    answers (empty: nothing is ever sent).
    """

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    bytes_per_second: float | None = None
    delay_seconds: float = 0.0
    banner: bytes | None = None

    def __post_init__(self) -> None:
        self.flowing.set()


Serve = Callable[[socket.socket], Awaitable[None]]


class Link:
    """One connection, from accept to close."""

    def __init__(self, client: socket.socket, wire: Wire) -> None:
        self._client = client
        self._wire = wire
        self._work: list[asyncio.Task[None]] = []
        self._is_cut = False
        self._is_reset = False

    async def run(self, serve: Serve) -> None:
        """Carry bytes between the client and `serve` until either end closes."""
        try:
            if self._is_cut:
                return
            if self._wire.banner is not None:
                self._work = [asyncio.create_task(self._say(self._wire.banner))]
                await self._until_done(self._work[0])
            else:
                await self._carry(serve)
        finally:
            if self._is_reset:
                self._client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            self._client.close()

    def cut(self, *, reset: bool = False) -> None:
        """End the connection now; with `reset` the client sees a TCP reset in place of an end.

        Only the work is cancelled, never `run`: it has sockets to close, in their order.
        """
        self._is_cut = True
        self._is_reset = self._is_reset or reset
        for task in self._work:
            task.cancel()

    async def _say(self, banner: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._client, banner)
        while await loop.sock_recv(self._client, _CHUNK_BYTES):
            pass

    async def _carry(self, serve: Serve) -> None:
        # The other end belongs to the SSH server, which closes it.
        inner, outer = socket.socketpair()
        inner.setblocking(False)
        serving = asyncio.ensure_future(serve(outer))
        self._work = [
            asyncio.create_task(self._pump(self._client, inner)),
            asyncio.create_task(self._pump(inner, self._client)),
        ]
        # The second direction ends when the SSH server has closed and its bytes are sent.
        await self._until_done(self._work[1])
        inner.close()
        # The SSH server sees the end of its side; cancelled, it would leave its socket open.
        await asyncio.wait((serving,), timeout=_CLOSE_SECONDS)
        serving.cancel()

    async def _until_done(self, last: "asyncio.Task[None]") -> None:
        """Wait for `last`, then end the rest. Either end going away is how links end."""
        await asyncio.wait((last,))
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        loop, wire = asyncio.get_running_loop(), self._wire
        while data := await loop.sock_recv(source, _CHUNK_BYTES):
            await wire.flowing.wait()
            if wire.delay_seconds:
                await asyncio.sleep(wire.delay_seconds)
            if wire.bytes_per_second:
                await self._drip(sink, data, wire.bytes_per_second)
            else:
                await loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)

    async def _drip(self, sink: socket.socket, data: bytes, bytes_per_second: float) -> None:
        """Send in tenths of a second, so that a slow line still moves evenly."""
        step = max(1, int(bytes_per_second / 10))
        for start in range(0, len(data), step):
            await asyncio.get_running_loop().sock_sendall(sink, data[start : start + step])
            await asyncio.sleep(step / bytes_per_second)
            await self._wire.flowing.wait()
