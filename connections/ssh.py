"""The one door to a machine: sessions, commands and streams over SSH, each with a deadline.

The only file of the product that imports Paramiko; none of its types leaves. What happens between
a caller and a machine ends in one of our values or one of our errors, and never later than its
deadline: Paramiko by itself waits for ever in `exec_command` and `recv_exit_status`, an hour for
a channel, and its keep-alive does not notice a dead link. Meanwhile the caller holds no connection
to the database, so it is never called inside a transaction.
"""

import base64
import contextlib
import hashlib
import io
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import paramiko

from connections.drain import Drain, Spend, Stream, unlimited
from connections.stillness import Stillness
from dgxsite import cleaner
from dgxsite.waiting import give_back, outside_database

logger = logging.getLogger(__name__)

# Modern algorithms only, in the order of what they cost; AES-GCM halves the price of a byte.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
# A pinned key's own name → the algorithms under which a server offers it.
HOST_KEY_FAMILIES: dict[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": _RSA,
}
_ALL_HOST_KEYS = tuple(name for family in HOST_KEY_FAMILIES.values() for name in family)

WINDOW_BYTES = 4 * 1024 * 1024
# A stream's largest frame fits; a machine that floods fills no more of our memory.
STREAM_WINDOW_BYTES = 1024 * 1024
PACKET_BYTES = 256 * 1024
OUTPUT_LIMIT_BYTES = 1024 * 1024
# What a peer may send before anybody has logged in: greeting, keys and a banner take a tenth.
LOGIN_BYTES = 256 * 1024
# The longest packet that we allow, with what goes around it.
LONGEST_MESSAGE_BYTES = PACKET_BYTES + 4096
# Linux names a file with 255 bytes at most, and a path with 4,096.
LONGEST_NAME_BYTES, LONGEST_PATH_BYTES = 1024, 4096
# All names of a folder, of which each counts so much more than its bytes: it is an object.
LISTING_BYTES, ENTRY_BYTES = 8 * 1024 * 1024, 64
# Reads beyond the end of one message: old servers leave out the last fields.
MOST_MISSED = 16
# Messages without content in so many seconds; a keep-alive is one in fifteen.
MOST_IDLE_MESSAGES, IDLE_MESSAGES_SECONDS = 1_000, 10.0
_TOO_MUCH = "The SSH server sends more than a log-in takes; it was hung up on."
_SAYS_NOTHING = frozenset(
    {
        paramiko.common.MSG_IGNORE,
        paramiko.common.MSG_DEBUG,
        paramiko.common.MSG_UNIMPLEMENTED,
        paramiko.common.MSG_GLOBAL_REQUEST,
    }
)
# How often is looked for what no event tells: words on the second output, the deadline.
QUIET_SECONDS = 0.02
# Characters of a sentence, and of a fingerprint or the name of an algorithm.
LONGEST_DETAIL, LONGEST_KEY_WORDS = 500, 100
TCP_USER_TIMEOUT_MS = 10_000
KEEPALIVE_SECONDS = 15
# How often an idle transport's thread wakes: ten times a second as shipped, which costs several
# times the work of reading 500 machines.
IDLE_WAKE_SECONDS = 5.0
# Agents may hold many keys; OpenSSH's sshd hangs up after six (MaxAuthTries).
AGENT_KEYS_TRIED = 5


class ConnectError(Exception):
    """No session: `reason` is one of `connections.models.Reason`, `detail` a sentence."""

    def __init__(
        self, reason: str, detail: str, offered_host_key: str = "", host_key_type: str = ""
    ) -> None:
        # Some of it are words of the machine.
        self.reason = reason
        self.detail = cleaner.line(detail, LONGEST_DETAIL)
        self.offered_host_key = cleaner.line(offered_host_key, LONGEST_KEY_WORDS)
        self.host_key_type = cleaner.line(host_key_type, LONGEST_KEY_WORDS)
        super().__init__(f"{reason}: {self.detail}")


class SessionLost(Exception):
    """The session ended, or does not answer any more and was closed."""


class StoodStill(SessionLost):
    """The session was closed because nothing moved on it any more."""


class SentTooMuch(SessionLost):
    """The machine answered with more than there can be; nothing more was asked of it."""


class CommandTimeout(Exception):
    """The command did not end within its deadline; its channel was closed."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in: exactly one of the three is used. Never printed."""

    private_key: str | None = field(default=None, repr=False)  # without a passphrase
    password: str | None = field(default=None, repr=False)
    agent: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A machine to log in to. `address` is the pinned IP; empty behind a jump host."""

    hostname: str
    port: int
    username: str
    credentials: Credentials
    address: str = ""
    host_key: str = ""
    host_key_type: str = ""
    jump: "Target | None" = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command left behind. `exit_status` is None if the machine did not say."""

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool


def given_up() -> ConnectError:
    """What a log-in ends with that nobody wants any more."""
    return ConnectError("unreachable", "The log-in was given up for a newer one.")


class HangUp:
    """Lets another thread end a log-in: what is open for it is closed, nothing more is opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[Callable[[], object]] = []
        self._is_over = False

    def call(self) -> None:
        """End the log-in now; its thread gets a `ConnectError`. Safe to call twice."""
        with self._lock:
            self._is_over = True
            ends, self._ends = self._ends, []
        for end in ends:
            # What fails to close is closed already.
            with contextlib.suppress(OSError):
                end()

    def check(self) -> None:
        """Raises `ConnectError` once somebody has hung up."""
        if self._is_over:
            raise given_up()

    def ends(self, end: Callable[[], object]) -> None:
        """`end` is called when somebody hangs up, at once if that has happened already."""
        with self._lock:
            if not self._is_over:
                self._ends.append(end)
                return
        with contextlib.suppress(OSError):
            end()
        self.check()


class Session:
    """One authenticated connection to a machine. Threads may share it."""

    def __init__(
        self,
        transport: "_Transport",
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
        _hang_up(self._transport, self._jump)

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
        drain: Drain,
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
        tap = _Tap(channel, self._transport, self.close)
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
                _ending_after(self.close, timeout),
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
            with _ending_after(self.close, timeout):
                channel = self._transport.open_session(window, timeout=timeout)
                channel.exec_command(command)
                return channel
        except (OSError, EOFError, paramiko.SSHException, AssertionError) as error:
            if channel is not None:
                self._transport.let_go(channel)
            raise SessionLost(f"no channel: {error}") from error


class TooMuch(paramiko.SSHException):
    """The machine sends what no server has to send; the session is over."""


class _Message(paramiko.Message):
    """One message of a peer, which may end too early a few times, as old servers' do.

    Paramiko reads zeros beyond the end for ever, so that a count of four thousand million in a
    short message is a loop of hours.
    """

    _missed = 0

    @classmethod
    def of(cls, message: paramiko.Message) -> Self:
        own = cls()
        own.packet, own.seqno = message.packet, message.seqno
        return own

    def get_bytes(self, n: int) -> bytes:
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch("a text longer than any message")
        found = self.packet.read(n)
        if len(found) < n:
            self._missed += 1
            if self._missed > MOST_MISSED:
                raise TooMuch("a message that ends long before it says")
        return found + b"\0" * (n - len(found))


class _Packets(paramiko.packet.Packetizer):
    """What a peer may make us keep: short packets, few before the log-in, few that say nothing.

    And what waits to be sent to it, by threads that must not wait for it (`later`). The session's
    own thread sends that between two packets of the machine's, or when it wakes without one; a
    machine that takes nothing stops that thread alone.
    """

    clear_to_send: threading.Event  # the transport's: unset while keys are exchanged

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self._left: int | None = LOGIN_BYTES
        self._idle, self._since = 0, time.monotonic()
        self._waiting: deque[Callable[[], paramiko.Message | None]] = deque()

    def later(self, make: Callable[[], paramiko.Message | None]) -> None:
        """Send what `make` gives, once its turn comes; None is nothing. Never waits."""
        self._waiting.append(make)

    def send_waiting(self) -> None:
        """Only for the session's thread, on which keys are exchanged, or with the lock of that."""
        while self.clear_to_send.is_set():
            try:
                make = self._waiting.popleft()
            except IndexError:
                return
            if (message := make()) is not None:
                self.send_message(message)

    def close(self) -> None:
        super().close()
        self._waiting.clear()

    def logged_in(self) -> None:
        """From now on the windows of the channels are what bounds it."""
        self._left = None

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch(f"a packet of {n} bytes")
        self._spend(n)
        return super().read_all(n, check_rekey)

    def read_message(self) -> tuple[int, paramiko.Message]:
        self.send_waiting()
        kind, message = super().read_message()
        if kind in _SAYS_NOTHING:
            self._count_idle()
        return kind, _Message.of(message)

    def _check_keepalive(self) -> None:
        """Called when nothing has come for a while."""
        self.send_waiting()
        super()._check_keepalive()  # type: ignore[misc]

    def _read_timeout(self, timeout: float) -> bytes:
        """A piece of a line before the key exchange, which may have no end."""
        found: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._spend(len(found))
        return found

    def _spend(self, count: int) -> None:
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise TooMuch("more bytes than a log-in takes")

    def _count_idle(self) -> None:
        self._idle += 1
        if self._idle > MOST_IDLE_MESSAGES:
            if time.monotonic() - self._since < IDLE_MESSAGES_SECONDS:
                raise TooMuch("a flood of messages that say nothing")
            self._idle, self._since = 0, time.monotonic()


def _within_window(feed: Callable[[paramiko.Channel, Any], None]) -> Any:
    """Paramiko keeps what comes beyond the window that it gave; no server has to send that."""

    def fed(channel: paramiko.Channel, message: Any) -> None:
        if len(channel.in_buffer) + len(channel.in_stderr_buffer) > WINDOW_BYTES + PACKET_BYTES:
            raise TooMuch("more than the window of a channel")
        feed(channel, message)

    return fed


class _Transport(paramiko.Transport):
    """Paramiko's, with bounds on what the peer may make us keep."""

    packetizer: _Packets
    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        paramiko.common.MSG_CHANNEL_DATA: _within_window(
            paramiko.Channel._feed  # type: ignore[attr-defined]
        ),
        paramiko.common.MSG_CHANNEL_EXTENDED_DATA: _within_window(
            paramiko.Channel._feed_extended  # type: ignore[attr-defined]
        ),
    }

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(
            sock,
            default_window_size=WINDOW_BYTES,
            default_max_packet_size=PACKET_BYTES,
            packetizer_class=_Packets,
        )
        self.packetizer.clear_to_send = self.clear_to_send
        self._is_hurrying = False

    def let_go(self, channel: paramiko.Channel) -> None:
        """Close a channel. Unlike its own `close` this never waits for the machine, nor raises."""
        with channel.lock:
            for message in channel._close_internal():  # type: ignore[attr-defined]
                if message is not None:
                    self.packetizer.later(partial(_itself, message))

    def hurry(self) -> None:
        """Send what waits while the session's own thread sleeps; for the drain's thread alone."""
        if not self._is_hurrying:
            self._is_hurrying = True
            threading.Thread(target=self._hurry, name="sender", daemon=True).start()

    def _hurry(self) -> None:
        try:
            # While keys are exchanged nothing is sent: the session's thread does it afterwards.
            with self.clear_to_send_lock:
                self.packetizer.send_waiting()
        except (OSError, EOFError, paramiko.SSHException):
            return  # the session's thread hears of it as well
        finally:
            self._is_hurrying = False


def _itself(message: paramiko.Message) -> paramiko.Message:
    return message


class _Tap:
    """A channel as the drain and the pulse have it: nothing here waits for the machine.

    Paramiko's `recv` makes room in the window, and its `send` and `close` send at once: each of
    them waits while keys are exchanged, and for ever while the machine takes no bytes.
    """

    def __init__(
        self, channel: paramiko.Channel, transport: _Transport, end: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._transport = transport
        self._end = end
        self._owed = 0  # bytes read for which the machine has not been given room yet
        self._owed_waits = self._send_waits = False
        self.in_buffer = channel.in_buffer
        self.in_stderr_buffer = channel.in_stderr_buffer

    @property
    def exit_status(self) -> int:
        return self._channel.exit_status

    @property
    def closed(self) -> bool:
        return bool(self._channel.closed)

    @property
    def eof_received(self) -> bool:
        return bool(self._channel.eof_received)

    def recv_ready(self) -> bool:
        return self._channel.recv_ready()

    def recv_stderr_ready(self) -> bool:
        return self._channel.recv_stderr_ready()

    def recv(self, nbytes: int) -> bytes:
        return self._read(self.in_buffer, nbytes)

    def recv_stderr(self, nbytes: int) -> bytes:
        return self._read(self.in_stderr_buffer, nbytes)

    def send(self, data: bytes) -> bool:
        """Send it soon; False if the last one still waits, or the machine has no room for it."""
        with self._channel.lock:
            if self.closed or self._channel.eof_sent:
                raise OSError("the channel is closed")
            if self._send_waits or self._channel.out_window_size < len(data):
                return False
            self._channel.out_window_size -= len(data)
            self._send_waits = True
        self._transport.packetizer.later(partial(self._data, data))
        return True

    def close(self) -> None:
        self._transport.let_go(self._channel)

    def hang_up(self) -> None:
        """End the whole session."""
        self._end()

    def _read(self, buffer: Any, nbytes: int) -> bytes:
        data: bytes = buffer.read(nbytes, 0.0)
        with self._channel.lock:
            self._owed += len(data)
            owed, waits = self._owed, self._owed_waits
            self._owed_waits = waits or owed > self._channel.in_window_threshold
        if self._owed_waits and not waits:
            self._transport.packetizer.later(self._room)
        if owed > self._channel.in_window_size // 2:
            # The machine may be waiting for room, and then no packet wakes the session's thread.
            self._transport.hurry()
        return data

    def _room(self) -> paramiko.Message | None:
        with self._channel.lock:
            owed, self._owed, self._owed_waits = self._owed, 0, False
        if self._channel.closed or self._channel.eof_received:
            return None
        message = self._message(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(owed)
        return message

    def _data(self, data: bytes) -> paramiko.Message | None:
        self._send_waits = False
        if self._channel.closed:  # the machine may know it no more, and hang up on us
            return None
        message = self._message(paramiko.common.cMSG_CHANNEL_DATA)
        message.add_string(data)
        return message

    def _message(self, kind: bytes) -> paramiko.Message:
        message = paramiko.Message()
        message.add_byte(kind)
        message.add_int(self._channel.remote_chanid)
        return message


# SFTP's answers are read by this name there; the same bounds count.
paramiko.sftp_client.Message = _Message  # type: ignore[attr-defined]


class Sftp(paramiko.SFTPClient):
    """Paramiko's client, and two requests of OpenSSH's that it does not know."""

    stillness: Stillness

    def _request(self, kind: int, *arguments: Any) -> tuple[int, paramiko.Message]:
        """One question and its answer; the database may have been asked since the last one."""
        give_back()
        answer: tuple[int, paramiko.Message] = super()._request(kind, *arguments)  # type: ignore[misc]
        return answer

    def free_bytes(self, path: str) -> int | None:
        """What an ordinary user may still write on the file system of `path`; None: not told."""
        try:
            _, answer = self._request(paramiko.sftp.CMD_EXTENDED, "statvfs@openssh.com", path)
        except OSError:
            return None
        _, unit, _, _, available = (answer.get_int64() for _ in range(5))
        return int(unit * available)

    def check_listable(self, path: str) -> None:
        """Raises `OSError` unless the folder can be opened to list it; reads no entry."""
        _, answer = self._request(paramiko.sftp.CMD_OPENDIR, path)
        self._request(paramiko.sftp.CMD_CLOSE, answer.get_binary())

    def real_path(self, path: bytes) -> bytes:
        """`path` without links, `.` and `..`, as the machine resolves it."""
        return self._one_name(paramiko.sftp.CMD_REALPATH, path)

    def link_target(self, path: bytes) -> bytes:
        """What a symbolic link says, unresolved."""
        return self._one_name(paramiko.sftp.CMD_READLINK, path)

    def entries(self, path: bytes) -> Iterator[tuple[bytes, paramiko.SFTPAttributes]]:
        """Name and attributes of what is in a folder; names are bytes, whatever they are.

        Paramiko's own listing fails as a whole on one name that is not UTF-8. Raises `TooMuch`
        for names that no folder has, or more of them than `LISTING_BYTES`.
        """
        _, answer = self._request(paramiko.sftp.CMD_OPENDIR, path)
        handle, left = answer.get_binary(), LISTING_BYTES
        try:
            while True:
                _, answer = self._request(paramiko.sftp.CMD_READDIR, handle)
                for _ in range(answer.get_int()):
                    name = _at_most(LONGEST_NAME_BYTES, answer.get_binary())
                    left -= len(name) + ENTRY_BYTES
                    if left < 0:
                        raise TooMuch("a folder without an end")
                    answer.get_binary()  # what `ls -l` would print
                    attributes = paramiko.SFTPAttributes()
                    attributes._unpack(answer)  # type: ignore[attr-defined]
                    yield name, attributes
        except EOFError:
            return
        except TooMuch:
            self.close()
            raise
        finally:
            if not self.is_closed:
                self._request(paramiko.sftp.CMD_CLOSE, handle)

    def _one_name(self, request: int, path: bytes) -> bytes:
        _, answer = self._request(request, path)
        if answer.get_int() != 1:
            raise OSError("not one name")
        return _at_most(LONGEST_PATH_BYTES, answer.get_binary())

    def _read_all(self, n: int) -> bytes:
        """The whole of a packet, which Paramiko lets have 16 MiB."""
        if n > LONGEST_MESSAGE_BYTES:
            raise TooMuch(f"an SFTP packet of {n} bytes")
        found: bytes = super()._read_all(n)  # type: ignore[misc]
        return found

    def be_patient(self, seconds: float) -> None:
        """Wait no longer than this for any answer; `OSError` after it."""
        if (channel := self.get_channel()) is not None:
            channel.settimeout(seconds)

    @property
    def is_closed(self) -> bool:
        """Whether the link under it is known to be gone."""
        channel = self.get_channel()
        return channel is None or bool(channel.closed)

    def sync(self, file: paramiko.SFTPFile) -> None:
        """Have the machine put the file on its disk, if it offers that."""
        with contextlib.suppress(OSError):
            self._request(paramiko.sftp.CMD_EXTENDED, "fsync@openssh.com", file.handle)


def _at_most(most: int, name: bytes) -> bytes:
    if len(name) > most:
        raise TooMuch(f"a name of {len(name)} bytes")
    return name


@outside_database()
def open_session(
    target: Target, *, timeout: float = 15.0, hang_up: HangUp | None = None
) -> Session:
    """Log in to `target`, or raise `ConnectError` within about `timeout` seconds.

    The host key is compared before any credential is sent: an unknown or a changed key ends here.
    """
    deadline = time.monotonic() + timeout
    hang_up = hang_up or HangUp()
    transport, jump = _verified(target, deadline, hang_up)
    try:
        hang_up.check()
        _authenticate(transport, target, deadline)
    except BaseException:
        _hang_up(transport, jump)
        raise
    transport.packetizer.logged_in()
    transport.set_keepalive(KEEPALIVE_SECONDS)
    transport.sock.settimeout(IDLE_WAKE_SECONDS)
    key = transport.get_remote_server_key()
    return Session(transport, fingerprint(key.asbytes()), key.get_name(), jump)


@outside_database()
def probe_host_key(target: Target, *, timeout: float = 10.0) -> tuple[str, str]:
    """The fingerprint and the algorithm that the machine offers; no credential is sent."""
    transport, jump = _handshake(target, time.monotonic() + timeout, _ALL_HOST_KEYS, HangUp())
    try:
        key = transport.get_remote_server_key()
        return fingerprint(key.asbytes()), key.get_name()
    finally:
        _hang_up(transport, jump)


def _hang_up(transport: _Transport, jump: Session | None) -> None:
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


def fingerprint(blob: bytes) -> str:
    """`SHA256:…` of a public key blob, as `ssh-keygen -l` prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def _verified(
    target: Target, deadline: float, hang_up: HangUp
) -> tuple[_Transport, Session | None]:
    """A transport whose host key is the pinned one.

    A fingerprint alone does not say which of the server's keys it belongs to: if the first one
    offered is another, the remaining algorithms are asked for before it is called changed.
    """
    wanted = HOST_KEY_FAMILIES.get(target.host_key_type, _ALL_HOST_KEYS)
    offered = ""
    offered_type = ""
    while True:
        try:
            transport, jump = _handshake(target, deadline, wanted, hang_up)
        except ConnectError:
            if offered:  # the server has no further key
                break
            raise
        key = transport.get_remote_server_key()
        print_, kind = fingerprint(key.asbytes()), key.get_name()
        if target.host_key and print_ == target.host_key:
            return transport, jump
        _hang_up(transport, jump)
        if not offered:
            offered, offered_type = print_, kind
        wanted = tuple(name for name in wanted if name not in HOST_KEY_FAMILIES.get(kind, ()))
        if not target.host_key or target.host_key_type or not wanted:
            break
    if not target.host_key:
        raise ConnectError(
            "host_key_unknown", "Nobody has accepted this host key yet.", offered, offered_type
        )
    raise ConnectError(
        "host_key_changed",
        "The machine shows another host key than the accepted one.",
        offered,
        offered_type,
    )


def _handshake(
    target: Target, deadline: float, host_keys: tuple[str, ...], hang_up: HangUp
) -> tuple[_Transport, Session | None]:
    """Key exchange with the machine, before any log-in."""
    sock, jump = _connect(target, deadline, hang_up)
    try:
        transport = _Transport(sock)
    except BaseException:
        sock.close()
        raise
    options = transport.get_security_options()
    options.ciphers, options.digests, options.key_types = CIPHERS, MACS, host_keys
    remaining = max(0.5, deadline - time.monotonic())
    transport.banner_timeout = min(8.0, remaining)
    transport.handshake_timeout = remaining
    transport.clear_to_send_timeout = 5.0
    try:
        hang_up.ends(transport.close)
        transport.start_client(timeout=remaining)
        if not transport.is_active() or not transport.initial_kex_done:
            raise paramiko.SSHException("the key exchange did not finish in time")
        return transport, jump
    except (paramiko.SSHException, OSError, EOFError, ConnectError) as error:
        _hang_up(transport, jump)
        if isinstance(error, ConnectError):
            raise
        raise ConnectError("ssh_unresponsive", _handshake_detail(error)) from error


def _handshake_detail(error: Exception) -> str:
    """A sentence that repeats none of the peer's bytes, which need not be SSH at all."""
    if isinstance(error, TooMuch):
        return _TOO_MUCH
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return "The SSH server offers no algorithm that is still considered safe."
    if "banner" in str(error):
        return "Something answers on this port, but it does not greet as an SSH server."
    return "The SSH server hung up or did not finish the key exchange."


def _connect(
    target: Target, deadline: float, hang_up: HangUp
) -> tuple[socket.socket, Session | None]:
    """A byte stream to the machine: TCP to the pinned address, or a channel of the jump host."""
    timeout = max(0.5, deadline - time.monotonic())
    if target.jump is not None:
        return _connect_through(target, target.jump, deadline, hang_up)
    try:
        sock = _dial(target.address, target.port, min(8.0, timeout), hang_up)
    except OSError as error:
        raise ConnectError("unreachable", _network_detail(error)) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
    return sock, None


def _dial(address: str, port: int, timeout: float, hang_up: HangUp) -> socket.socket:
    """As `socket.create_connection` with a pinned address, but another thread can end it."""
    family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        hang_up.ends(partial(sock.shutdown, socket.SHUT_RDWR))
        sock.settimeout(timeout)
        sock.connect(place)
        hang_up.check()
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_through(
    target: Target, jump_target: Target, deadline: float, hang_up: HangUp
) -> tuple[socket.socket, Session]:
    left = max(0.5, deadline - time.monotonic())
    try:
        jump = open_session(jump_target, timeout=left, hang_up=hang_up)
    except ConnectError as error:
        # The jump host has its own row, where its host key is accepted.
        reason = "unreachable" if error.reason.startswith("host_key") else error.reason
        raise ConnectError(reason, f"Jump host: {error.detail}") from error
    timeout = max(0.5, deadline - time.monotonic())
    try:
        with _ending_after(jump.close, timeout):
            channel = jump._transport.open_channel(
                "direct-tcpip",
                (target.hostname, target.port),
                ("127.0.0.1", 0),
                timeout=timeout,
            )
    except (paramiko.SSHException, OSError, EOFError) as error:
        jump.close()
        raise ConnectError("unreachable", "The jump host cannot reach it.") from error
    return channel, jump  # type: ignore[return-value]  # Paramiko takes a channel for a socket


def _network_detail(error: OSError) -> str:
    """Equal words for what a firewall drops and what it refuses: this is no port scanner."""
    del error
    return "No answer from this address and port."


def _authenticate(transport: _Transport, target: Target, deadline: float) -> None:
    transport.auth_timeout = max(0.5, deadline - time.monotonic())
    credentials = target.credentials
    try:
        with _ending_after(transport.close, transport.auth_timeout):
            if credentials.password is not None:
                transport.auth_password(target.username, credentials.password)
            elif credentials.agent:
                _authenticate_with_agent(transport, target.username)
            else:
                transport.auth_publickey(target.username, load_key(credentials))
    except TooMuch as error:
        raise ConnectError("ssh_unresponsive", _TOO_MUCH) from error
    except paramiko.AuthenticationException as error:
        raise _auth_error(error) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise ConnectError("ssh_unresponsive", "The link broke during the log-in.") from error
    if not transport.is_authenticated():
        raise ConnectError("auth_failed", "The server asks for a further log-in step.")


def _auth_error(error: paramiko.AuthenticationException) -> ConnectError:
    text = str(error).lower()
    if "timeout" in text or "saw eof" in text:
        return ConnectError("ssh_unresponsive", "The server did not answer the log-in.")
    if isinstance(error, paramiko.BadAuthenticationType):
        ways = cleaner.line(", ".join(sorted(str(way) for way in error.allowed_types)), 100)
        return ConnectError("auth_failed", f"The server accepts only: {ways}.")
    return ConnectError("auth_failed", "The server refused the user name or the credential.")


def _authenticate_with_agent(transport: paramiko.Transport, username: str) -> None:
    keys = paramiko.Agent().get_keys()
    if not keys:
        raise ConnectError("key_unusable", "The SSH agent is not running or holds no key.")
    for key in keys[:AGENT_KEYS_TRIED]:
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_publickey(username, key)
            return
    raise ConnectError("auth_failed", "The server refused every key of the SSH agent.")


def load_key(credentials: Credentials) -> paramiko.PKey:
    """The private key, its cost already checked by `connections.keys`; else `key_unusable`."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(credentials.private_key or ""))
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue
    raise ConnectError("key_unusable", "The private key cannot be used.")


def _collect(channel: paramiko.Channel, deadline: float, limit: int, command: str) -> CommandResult:
    """Drain both streams until the command's end; the exit status is asked for last."""
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
def _ending_after(end: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `end` if the block takes longer; whatever waits inside then lets go."""
    timer = threading.Timer(seconds + 0.5, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
