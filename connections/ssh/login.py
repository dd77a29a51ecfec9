"""From a target to a session: dial, exchange keys, compare the host key, log in.

The host key is compared before any credential is sent. Every step ends in a `Session` or in a
`ConnectError`, within the seconds that its caller gave, and another thread can end it sooner.
"""

import base64
import contextlib
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import paramiko

from connections.ssh.errors import ConnectError
from connections.ssh.session import Session, ending_after, hang_up_on
from connections.ssh.target import Credentials, Target
from connections.ssh.transport import TooMuch, Transport
from core import cleaner
from core.web.waiting import outside_database

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
_TOO_MUCH = "The SSH server sends more than a log-in takes; it was hung up on."
TCP_USER_TIMEOUT_MS = 10_000
KEEPALIVE_SECONDS = 15
# How often an idle transport's thread wakes: ten times a second as shipped, which costs several
# times the work of reading 500 machines.
IDLE_WAKE_SECONDS = 5.0
# Agents may hold many keys; OpenSSH's sshd hangs up after six (MaxAuthTries).
AGENT_KEYS_TRIED = 5


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
        hang_up_on(transport, jump)
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
        hang_up_on(transport, jump)


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
        hang_up_on(transport, jump)
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
        hang_up_on(transport, jump)
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
        with ending_after(jump.close, timeout):
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
        with ending_after(transport.close, transport.auth_timeout):
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
    """The private key, its cost already checked by `connections.credentials.keys`; else
    `key_unusable`."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(credentials.private_key or ""))
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue
    raise ConnectError("key_unusable", "The private key cannot be used.")
