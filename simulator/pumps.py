"""Carrying bytes between an SSH channel and the file descriptors of a process.

Written with plain reads and writes: asyncio's pipe transports close a descriptor twice when the
process ends while its stdin is being flushed (CPython 3.11), which strikes whoever got the number
meanwhile.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable

import asyncssh

_CHUNK_BYTES = 65536

Notify = Callable[[signal.Signals], None]


async def feed(reader: "asyncssh.SSHReader[bytes]", descriptor: int, notify: Notify) -> None:
    """Write what the client sends to `descriptor`, to its end; closes the descriptor.

    Signals of the client go to `notify`, new sizes of its terminal to the descriptor. What comes
    after the process has closed its stdin is thrown away.
    """
    os.set_blocking(descriptor, False)
    is_open = True
    try:
        while True:
            try:
                data = await reader.read(_CHUNK_BYTES)
            except asyncssh.SignalReceived as received:
                with contextlib.suppress(KeyError):
                    notify(signal.Signals[f"SIG{received.signal}"])
                continue
            except asyncssh.BreakReceived:
                notify(signal.SIGINT)
                continue
            except asyncssh.TerminalSizeChanged as change:
                set_terminal_size(descriptor, change.width, change.height)
                continue
            if not data:
                return
            if is_open:
                is_open = await _write_all(descriptor, data)
    except (asyncssh.Error, ConnectionError):
        # The client is gone: the process sees the end of its stdin.
        return
    finally:
        os.close(descriptor)


async def drain(descriptor: int, writer: "asyncssh.SSHWriter[bytes]") -> None:
    """Send what can be read from `descriptor`, to its end; closes the descriptor."""
    os.set_blocking(descriptor, False)
    try:
        while data := await _read(descriptor):
            writer.write(data)
            await writer.drain()
    except (asyncssh.Error, ConnectionError):
        # Nobody reads any more: the process gets SIGPIPE at its next write.
        return
    finally:
        os.close(descriptor)


def set_terminal_size(descriptor: int, columns: int, rows: int) -> None:
    """Tell a terminal its size; 0 by 0 leaves it alone."""
    if columns and rows:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _write_all(descriptor: int, data: bytes) -> bool:
    """Whether the other end is still open."""
    view = memoryview(data)
    loop = asyncio.get_running_loop()
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            await _wait(descriptor, loop.add_writer, loop.remove_writer)
        except OSError:
            return False
    return True


async def _read(descriptor: int) -> bytes:
    """The next bytes; none at the end."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            await _wait(descriptor, loop.add_reader, loop.remove_reader)
        except OSError:
            # A terminal whose process has ended says EIO in place of an end.
            return b""


async def _wait(descriptor: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)
