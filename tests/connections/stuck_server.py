"""SSH servers that let everybody in, go on sending, and at some point take nothing any more."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import paramiko

from connections import ssh

# More than what a client reads before it gives new room in its window.
BURST = b"y" * (ssh.STREAM_WINDOW_BYTES // 5)


@dataclass
class Stuck:
    """A server of one kind, and what became of the session with it.

    `good` prints a byte a twentieth of a second. `rekey` prints a burst, begins to exchange keys
    and says nothing more. `stingy` does as `good`, but has room for the first bytes alone.
    """

    kind: str
    first_bytes: int = 0
    port: int = 0
    host_key: paramiko.ECDSAKey = field(default_factory=paramiko.ECDSAKey.generate)
    is_stuck: threading.Event = field(default_factory=threading.Event)
    received: bytearray = field(default_factory=bytearray)
    ends: threading.Event = field(default_factory=threading.Event)

    @property
    def fingerprint(self) -> str:
        return ssh.fingerprint(self.host_key.asbytes())

    @property
    def target(self) -> ssh.Target:
        password = ssh.Credentials(password="any")
        return ssh.Target(
            "127.0.0.1", self.port, "u", password, address="127.0.0.1", host_key=self.fingerprint
        )


class _Server(paramiko.ServerInterface):
    def __init__(self, stuck: Stuck) -> None:
        self._stuck = stuck

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._answer, args=(channel, command), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel, command: bytes) -> None:
        """Begins with the first byte that comes, or the end: what was asked for is answered then.

        A tenth of a stingy one's room is not enough for Paramiko to give new room.
        """
        stuck = self._stuck
        stuck.received += channel.recv(1)
        talk = threading.Thread(target=self._talk, args=(channel, command), daemon=True)
        talk.start()
        while stuck.kind != "stingy" and (piece := channel.recv(1)):
            stuck.received += piece

    def _talk(self, channel: paramiko.Channel, command: bytes) -> None:
        stuck, transport = self._stuck, channel.get_transport()
        try:
            if stuck.kind == "rekey":
                channel.sendall(BURST)
                transport.packetizer.is_deaf = True  # type: ignore[attr-defined]
                transport._send_kex_init()  # type: ignore[attr-defined]
                stuck.is_stuck.set()
                return
            if command.startswith(b"print "):
                channel.sendall(b"z" * int(command[6:]))
            while transport.is_active() and not stuck.ends.wait(0.05):
                channel.sendall(b"x")
        except (OSError, EOFError, paramiko.SSHException):
            return


class _Packets(paramiko.packet.Packetizer):
    """Hears nothing any more once it is told so."""

    is_deaf = False

    def read_message(self) -> tuple[int, paramiko.Message]:
        while True:
            kind, message = super().read_message()
            if not self.is_deaf:
                return kind, message


@contextmanager
def running(kind: str, first_bytes: int = 0) -> Iterator[Stuck]:
    """A server of this kind; a stingy one has room for `first_bytes` on each channel."""
    stuck = Stuck(kind, first_bytes)
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(peer, packetizer_class=_Packets)
            if kind == "stingy":
                transport.default_window_size = first_bytes
            transport.add_server_key(stuck.host_key)
            transports.append(transport)
            with suppress(OSError, EOFError, paramiko.SSHException):  # it has gone already
                transport.start_server(server=_Server(stuck))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        stuck.port = int(listener.getsockname()[1])
        threading.Thread(target=serve, daemon=True).start()
        yield stuck
        listener.shutdown(socket.SHUT_RDWR)
    stuck.ends.set()
    for transport in transports:
        transport.close()
