"""The SSH side of a simulated machine: who may log in, SFTP in the private home, forwarding.

The only module of the full mode that knows asyncssh's server classes.
"""

import ipaddress
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh

_KEPT_EVENTS = 1000


@dataclass
class Journal:
    """What clients did, for tests: logins tried and made, commands run. Never a secret."""

    connections: int = 0
    auth_attempts: list[str] = field(default_factory=list)
    logins: int = 0
    commands: list[str] = field(default_factory=list)

    def attempted(self, method: str) -> None:
        """Note that a client has shown a credential."""
        del self.auth_attempts[:-_KEPT_EVENTS]
        self.auth_attempts.append(method)

    def ran(self, command: str) -> None:
        """Note a command."""
        del self.commands[:-_KEPT_EVENTS]
        self.commands.append(command)


@dataclass
class Door:
    """Who may log in; changed by faults while the machine runs."""

    username: str
    authorized_keys: list[asyncssh.SSHKey]
    password: str | None
    refuses_everybody: bool = False
    forwards: dict[int, tuple[str, int]] = field(default_factory=dict)


class Server(asyncssh.SSHServer):
    """The rules of one connection."""

    def __init__(self, door: Door, journal: Journal) -> None:
        self._door = door
        self._journal = journal

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Count the connection."""
        self._connection = conn
        self._journal.connections += 1

    def begin_auth(self, username: str) -> bool | Awaitable[bool]:
        """Everybody has to prove who he is."""
        return True

    def auth_completed(self) -> None:
        """Count the login."""
        self._journal.logins += 1

    def public_key_auth_supported(self) -> bool:
        """Keys are always looked at, so that a refused one is answered as sshd does."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this key opens the door."""
        self._journal.attempted("publickey")
        return self._is_welcome(username) and key in self._door.authorized_keys

    def password_auth_supported(self) -> bool:
        """Only where the machine has a password."""
        return self._door.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        """Whether this password opens the door."""
        self._journal.attempted("password")
        return self._is_welcome(username) and password == self._door.password

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        """Forward to loopback only; `forwards` sends a port of the machine elsewhere."""
        target = self._door.forwards.get(dest_port)
        if target is not None:
            return self._connection.forward_connection(*target)
        return _is_loopback(dest_host)

    def _is_welcome(self, username: str) -> bool:
        return username == self._door.username and not self._door.refuses_everybody


class HomeSFTPServer(asyncssh.SFTPServer):
    """SFTP that begins in the machine's home; absolute paths are those of the host."""

    def __init__(self, chan: "asyncssh.SSHServerChannel[bytes]", home: bytes) -> None:
        self._home = home
        super().__init__(chan)

    def map_path(self, path: bytes) -> bytes:
        """The path on the host: relative ones stand below the home."""
        return os.path.join(self._home, path)


ProcessHandler = Callable[["asyncssh.SSHServerProcess[bytes]"], Any]


def options(
    door: Door, journal: Journal, host_key: asyncssh.SSHKey, home: str, handler: ProcessHandler
) -> asyncssh.SSHServerConnectionOptions:
    """What asyncssh needs to serve one machine; made once, used for every connection."""

    def sftp_factory(chan: "asyncssh.SSHServerChannel[bytes]") -> HomeSFTPServer:
        return HomeSFTPServer(chan, home.encode())

    return asyncssh.SSHServerConnectionOptions(
        server_factory=lambda: Server(door, journal),
        server_host_keys=[host_key],
        process_factory=handler,
        sftp_factory=sftp_factory,
        allow_scp=True,
        encoding=None,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        server_version="Simulated_1.0",
        keepalive_interval=0,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
