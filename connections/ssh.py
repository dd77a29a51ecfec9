"""The one door to a machine: sessions, commands and streams over SSH, each with a deadline.

With its parts (`transport.py`, `sftp.py`) the only file of the product that imports Paramiko; what
it gives away of that is `Sftp`, to `connections` alone. What happens between a caller and a machine
ends in one of our values or one of our errors, and never later than its deadline: Paramiko by
itself waits for ever in `exec_command` and `recv_exit_status`, an hour for a channel, and its
keep-alive does not notice a dead link. Meanwhile the caller holds no connection to the database, so
it is never called inside a transaction.
"""

import base64
import contextlib
import hashlib
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from connections.drain import Drain, Spend, Stream, unlimited
from connections.sftp import Sftp
from connections.stillness import Stillness
from connections.transport import WINDOW_BYTES, Tap, TooMuch, Transport
from core import cleaner
from core.web.waiting import give_back, outside_database

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

# A stream's largest frame fits; a machine that floods fills no more of our memory.
STREAM_WINDOW_BYTES = 1024 * 1024
OUTPUT_LIMIT_BYTES = 1024 * 1024
_TOO_MUCH = "The SSH server sends more than a log-in takes; it was hung up on."
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


def _hang_up(transport: Transport, jump: Session | None) -> None:
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


def _verified(target: Target, deadline: float, hang_up: HangUp) -> tuple[Transport, Session | None]:
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
) -> tuple[Transport, Session | None]:
    """Key exchange with the machine, before any log-in."""
    sock, jump = _connect(target, deadline, hang_up)
    try:
        transport = Transport(sock)
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


def _authenticate(transport: Transport, target: Target, deadline: float) -> None:
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
