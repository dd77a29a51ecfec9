"""A session on a machine: commands, streams and files over SSH, each with a deadline.

What happens between a caller and a machine ends in one of our values or one of our errors, and
never later than its deadline: Paramiko by itself waits for ever in `exec_command` and
`recv_exit_status`, an hour for a channel, and its keep-alive does not notice a dead link. Meanwhile
the caller holds no connection to the database, so it is never called inside a transaction.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from connections.ssh.errors import CommandTimeout, SentTooMuch, SessionLost, StoodStill
from connections.ssh.reader import Spend, Stream, StreamReader, unlimited
from connections.ssh.sftp import Sftp
from connections.ssh.stillness import Stillness
from connections.ssh.transport import WINDOW_BYTES, Tap, TooMuch, Transport
from core.web.waiting import give_back, outside_database

# A stream's largest frame fits; a machine that floods fills no more of our memory.
STREAM_WINDOW_BYTES = 1024 * 1024
OUTPUT_LIMIT_BYTES = 1024 * 1024
# How often is looked for what no event tells: words on the second output, the deadline.
QUIET_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command left behind. `exit_status` is None if the machine did not say."""

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool


class Session:
    """One authenticated connection to a machine. Threads may share it."""

    def __init__(
        self,
        transport: "Transport",
        host_key: str,
        host_key_type: str,
        jump: "Session | None",
    ) -> None:
        self._transport = transport
        self._jump = jump
        self.host_key = host_key
        self.host_key_type = host_key_type

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_active(self) -> bool:
        """False once the connection is known to be gone; true proves nothing."""
        return bool(self._transport.is_active())

    def close(self) -> None:
        """End it and everything on it; returns at once, also when the machine is frozen."""
        hang_up_on(self._transport, self._jump)

    @outside_database()
    def run(
        self,
        command: str,
        *,
        timeout: float,
        limit: int = OUTPUT_LIMIT_BYTES,
        stdin: bytes = b"",
    ) -> CommandResult:
        """Run `command` in the login shell and wait for its end.

        At most `limit` bytes of each stream are kept; the rest is read and dropped, so that the
        command is never blocked. Raises `CommandTimeout` after `timeout` seconds in all, and
        `SessionLost` when the session goes.
        """
        deadline = time.monotonic() + timeout
        channel = self._open(command, timeout)
        try:
            if stdin:
                channel.settimeout(max(0.1, deadline - time.monotonic()))
                channel.sendall(stdin)
            channel.shutdown_write()
            return _collect(channel, deadline, limit, command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SessionLost(str(error)) from error
        finally:
            self._transport.let_go(channel)

    @outside_database()
    def open_stream(
        self,
        drain: StreamReader,
        command: str,
        stdin: bytes,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[int | None], None],
        spend: Spend = unlimited,
        timeout: float = 15.0,
    ) -> Stream:
        """Start a long-lived command; `drain`'s thread calls `on_data` and once `on_close`.

        `spend` hears what each read has cost.
        """
        deadline = time.monotonic() + timeout
        channel = self._open(command, timeout, STREAM_WINDOW_BYTES)
        try:
            channel.settimeout(max(0.1, deadline - time.monotonic()))
            channel.sendall(stdin)
        except (OSError, paramiko.SSHException) as error:
            self._transport.let_go(channel)
            raise SessionLost(str(error)) from error
        tap = Tap(channel, self._transport, self.close)
        return drain.watch(tap, on_data=on_data, on_close=on_close, spend=spend)

    def cpu_seconds(self) -> float | None:
        """What the threads of this session have cost; None where the system does not say."""
        mine = _cpu_seconds(self._transport.native_id)
        beyond = None if self._jump is None else self._jump.cpu_seconds()
        return mine if mine is None or beyond is None else mine + beyond

    @contextlib.contextmanager
    def sftp(self, *, timeout: float, still: float | None = None) -> Iterator["Sftp"]:
        """The machine's files, for this app alone; all is over in `timeout` seconds.

        On the deadline the whole session is closed, so that what waits lets go; likewise once
        nothing has moved in either direction for `still` seconds, which is `StoodStill`: a folder
        on a mount that hangs is enough, so use a session that nobody else needs. Raises
        `SessionLost` for a link that breaks, `SentTooMuch` for an answer without bounds; what the
        machine refuses is an `OSError`.
        """
        give_back()
        stillness = Stillness(still, self.close)
        try:
            with (
                ending_after(self.close, timeout),
                stillness,
                self._subsystem("sftp", timeout) as channel,
            ):
                stillness.state = lambda: _moved(channel)
                opened = Sftp(channel)
                opened.stillness = stillness
                yield opened
        except TooMuch as error:
            raise SentTooMuch(f"no SFTP: {error}") from error
        except (
            EOFError,
            paramiko.SSHException,
            paramiko.SFTPError,
            AssertionError,
            UnicodeDecodeError,  # a refusal in words that are no text
        ) as error:
            if stillness.is_over:
                raise StoodStill(f"nothing moved for {still:g} s") from error
            raise SessionLost(f"no SFTP: {error}") from error

    @contextlib.contextmanager
    def _subsystem(self, name: str, timeout: float) -> Iterator[paramiko.Channel]:
        """A channel to it; a link that is reset meanwhile is no refusal of the machine's."""
        channel = None
        try:
            try:
                channel = self._transport.open_session(timeout=timeout)
                channel.invoke_subsystem(name)
            except OSError as error:
                raise SessionLost(f"no channel: {error}") from error
            yield channel
        finally:
            if channel is not None:
                self._transport.let_go(channel)

    def _open(self, command: str, timeout: float, window: int = WINDOW_BYTES) -> paramiko.Channel:
        """A channel on which `command` was started, or `SessionLost`.

        At most `window` bytes wait here to be read.

        Neither call can be interrupted, so on the deadline the whole transport is closed.
        """
        channel = None
        try:
            with ending_after(self.close, timeout):
                channel = self._transport.open_session(window, timeout=timeout)
                channel.exec_command(command)
                return channel
        except (OSError, EOFError, paramiko.SSHException, AssertionError) as error:
            if channel is not None:
                self._transport.let_go(channel)
            raise SessionLost(f"no channel: {error}") from error


def hang_up_on(transport: Transport, jump: Session | None) -> None:
    """The jump host's session first: the other one's bytes go through a channel of that, which
    would have to be closed with a message.
    """
    if jump is not None:
        jump.close()
    transport.close()


def _cpu_seconds(thread: int | None) -> float | None:
    """CPU of one of our threads, from Linux's scheduler; None once it is gone."""
    try:
        told = Path(f"/proc/self/task/{thread}/schedstat").read_text("ascii")
        return int(told.split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _collect(channel: paramiko.Channel, deadline: float, limit: int, command: str) -> CommandResult:
    """StreamReader both streams until the command's end; the exit status is asked for last."""
    streams: tuple[bytearray, bytearray] = (bytearray(), bytearray())
    sources = (
        (streams[0], channel.recv_ready, channel.recv),
        (streams[1], channel.recv_stderr_ready, channel.recv_stderr),
    )
    truncated = False
    arrived = threading.Event()
    channel.in_buffer.set_event(arrived)
    while True:
        # Asked before reading: what arrives afterwards is read in the next round.
        ended = channel.closed or (channel.exit_status_ready() and channel.eof_received)
        quiet = True
        for kept, ready, receive in sources:
            while ready():
                data = receive(65536)
                quiet = False
                truncated = truncated or len(kept) + len(data) > limit
                kept += data[: limit - len(kept)]
                if time.monotonic() > deadline:
                    raise CommandTimeout(f"still printing: {command[:60]}")
        if ended and quiet:
            break
        if time.monotonic() > deadline:
            raise CommandTimeout(f"no end in time: {command[:60]}")
        if quiet:
            # A command that has closed its outputs and goes on leaves `arrived` set for good.
            over = channel.status_event if channel.eof_received else arrived
            over.wait(QUIET_SECONDS)
    status = channel.exit_status if channel.exit_status >= 0 else None
    return CommandResult(status, bytes(streams[0]), bytes(streams[1]), truncated)


def _moved(channel: paramiko.Channel) -> object:
    """Changes with every byte that the machine sends or makes room for."""
    return channel.out_window_size, channel.in_window_sofar, len(channel.in_buffer)


@contextlib.contextmanager
def ending_after(end: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `end` if the block takes longer; whatever waits inside then lets go."""
    timer = threading.Timer(seconds + 0.5, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
