"""A server that sends without end costs a bounded piece of memory, and ends in plain words."""

import asyncio
import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from simulator.keys import kept_key
from simulator.loopthread import in_thread

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_SECONDS = 8.0
# Starting threads and loading a cipher takes a few of them.
GROWTH_BYTES = 50 * 2**20
GREETING = b"SSH-2.0-Hostile_1.0\r\n"

Talk = Callable[[socket.socket], None]


def packet(payload: bytes) -> bytes:
    """A packet as it stands in clear before the key exchange."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + b"\0" * padding


def for_ever(piece: bytes, before: bytes = b"") -> Talk:
    def talk(peer: socket.socket) -> None:
        peer.sendall(before)
        while True:
            peer.sendall(piece)

    return talk


def drip(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


MIB = b"x" * 2**20
BEFORE_THE_KEYS: dict[str, Talk] = {
    "a line without end": for_ever(MIB),
    "lines without end": for_ever(b"hello\r\n" * 1000),
    "a packet of four gigabytes": for_ever(MIB, GREETING + b"\xff\xff\xff\xf0"),
    "a packet of a gigabyte": for_ever(MIB, GREETING + struct.pack(">IB", 2**30 + 4, 0)),
    "many messages to ignore": for_ever(packet(b"\x02" + b"\0" * 27) * 100, GREETING),
    "long messages to ignore": for_ever(packet(b"\x02" + b"\0" * 30_000), GREETING),
    "notes for debugging": for_ever(
        packet(b"\x04\x00" + struct.pack(">I", 16) + b"d" * 16 + b"\0" * 4), GREETING
    ),
    "a key exchange of nothing but names": for_ever(
        MIB, GREETING + packet(b"\x14" + b"\0" * 16 + struct.pack(">I", 2**31) + b"a," * 10_000)
    ),
    "noise": for_ever(bytes(range(256)) * 4096, GREETING),
    "drops": drip,
}


@contextlib.contextmanager
def serving(talk: Talk) -> Iterator[int]:
    """A server that says so to whoever comes; its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=say, args=(peer,), daemon=True).start()

    def say(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            talk(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("talk", BEFORE_THE_KEYS.values(), ids=BEFORE_THE_KEYS)
def test_what_comes_before_the_key_exchange_is_bounded(talk: Talk, key: str) -> None:
    with serving(talk) as port:
        told = dial({"host": "127.0.0.1", "port": port, "key": key, "fingerprint": "SHA256:x"})
    assert told["reason"] == "ssh_unresponsive"
    assert "SSH" in told["detail"]
    assert told["seconds"] < DEADLINE_SECONDS + 5
    assert told["growth_bytes"] < GROWTH_BYTES


# --- With keys, as only a real server can ----------------------------------------------------


class Hostile(asyncssh.SSHServer):
    """Lets everybody in, and sends what `kind` says."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    async def begin_auth(self, username: str) -> bool:
        if self._kind == "banners":
            await self._flood(lambda: self._conn.send_auth_banner("b" * 20_000))
        if self._kind == "a count before the log-in":
            self._conn.send_packet(7, b"\xff\xff\xff\xff")
            await asyncio.sleep(60)
        return False

    def session_requested(self) -> Any:
        if self._kind in ANSWERS:
            return HostileFiles(ANSWERS[self._kind])
        return HostileSession(self._kind, self._conn)

    def connection_requested(self, *where: Any) -> Any:
        return HostileForward()

    async def _flood(self, send: Callable[[], object]) -> None:
        while True:
            send()
            await asyncio.sleep(0)


class HostileSession(asyncssh.SSHServerSession[bytes]):
    def __init__(self, kind: str, conn: asyncssh.SSHServerConnection) -> None:
        self._kind, self._conn = kind, conn

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._talk())

    async def _talk(self) -> None:
        number = 94 if self._kind == "more than the window" else 2
        text = b"d" * 30_000
        data = struct.pack(">I", len(text)) + text
        while not self._conn.is_closed():
            if number == 94:
                self._chan.send_packet(94, data)
            elif self._kind == "a count after the log-in":
                self._conn.send_packet(7, b"\xff\xff\xff\xff")
            else:
                self._conn.send_packet(2, struct.pack(">I", 4) + b"null")
            await asyncio.sleep(0)


def packet_of_names(*names: bytes) -> bytes:
    """What follows the request's number in an answer of SFTP: names, each without attributes."""
    entries = b"".join(struct.pack(">I", len(name)) + name + bytes(8) for name in names)
    return struct.pack(">I", len(names)) + entries


# Kind → what is asked, and the endless answer to it; None for a packet that does not end.
ANSWERS: dict[str, tuple[str, bytes | None]] = {
    "a folder of names of 250 kB": ("folder", packet_of_names(b"n" * 250_000)),
    "a folder of names of 1 kB": ("folder", packet_of_names(*[b"n" * 1000] * 200)),
    "a folder of dots": ("folder", packet_of_names(*[b"."] * 10_000)),
    "a packet of 16 MB": ("folder", None),
    "a link of 250 kB": ("link", packet_of_names(b"/" * 250_000)),
    "a path of 250 kB": ("path", packet_of_names(b"/" * 250_000)),
}


class HostileFiles(asyncssh.SSHServerSession[bytes]):
    """An SFTP server that opens everything, and answers each question about names alike."""

    def __init__(self, answer: tuple[str, bytes | None]) -> None:
        self._names, self._came = answer[1], b""

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return True

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._came += data
        while len(self._came) >= 4:
            end = 4 + int.from_bytes(self._came[:4])
            if len(self._came) < end:
                return
            kind, number = self._came[4], self._came[5:9]
            self._came = self._came[end:]
            self._answer(kind, number)

    def _answer(self, kind: int, number: bytes) -> None:
        if kind == 1:
            self._send(2, struct.pack(">I", 3))
        elif kind == 11:
            self._send(102, number + struct.pack(">I", 1) + b"h")
        elif kind in (12, 16, 19) and self._names is None:
            self._chan.write(struct.pack(">I", 2**24 - 1) + MIB * 16)
        elif kind in (12, 16, 19):
            self._send(104, number + (self._names or b""))
        else:
            self._send(101, number + bytes(12))

    def _send(self, kind: int, body: bytes) -> None:
        self._chan.write(struct.pack(">IB", len(body) + 1, kind) + body)


class HostileForward(asyncssh.SSHTCPSession[bytes]):
    """What a jump host leads to: a line without end, as fast as the window allows."""

    def connection_made(self, chan: Any) -> None:
        self._chan, self._is_open = chan, True

    def session_started(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._talk())

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False

    async def _talk(self) -> None:
        while self._is_open:
            self._chan.write(b"x" * 65_536)
            await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("keys")
    return kept_key(folder / "client").export_private_key().decode()


@contextlib.contextmanager
def hostile(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A hostile server of this kind; host, port and fingerprint of it."""
    host_key = kept_key(folder / "host")

    @contextlib.asynccontextmanager
    async def serve() -> Any:
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            server_factory=lambda: Hostile(kind),
            encoding=None,
        )
        yield listener.get_port()
        listener.close()

    with in_thread(serve) as (port, _):
        yield {"host": "127.0.0.1", "port": port, "fingerprint": host_key.get_fingerprint()}


@pytest.mark.parametrize("kind", ["banners", "a count before the log-in"])
def test_what_comes_before_the_log_in_is_bounded(kind: str, key: str, tmp_path: Path) -> None:
    with hostile(kind, tmp_path) as where:
        told = dial(where | {"key": key})
    assert told["reason"] == "ssh_unresponsive"
    assert told["detail"] == "The SSH server sends more than a log-in takes; it was hung up on."
    assert told["growth_bytes"] < GROWTH_BYTES
    assert told["cpu_seconds"] < 30


@pytest.mark.parametrize(
    "kind", ["more than the window", "messages to ignore", "a count after the log-in"]
)
def test_what_comes_after_the_log_in_is_bounded(kind: str, key: str, tmp_path: Path) -> None:
    with hostile(kind, tmp_path) as where:
        told = dial(where | {"key": key, "command": "anything"})
    assert not told["is_active"], "it was hung up on"
    assert told["growth_bytes"] < GROWTH_BYTES


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_comes_over_sftp_is_bounded(kind: str, key: str, tmp_path: Path) -> None:
    with hostile(kind, tmp_path) as where:
        told = dial(where | {"key": key, "look": ANSWERS[kind][0]})
    assert told["detail"].startswith("no SFTP: a"), told
    assert told["seconds"] < 2 * DEADLINE_SECONDS, "it was not waited for"
    assert told["growth_bytes"] < GROWTH_BYTES


def test_what_a_jump_host_leads_to_is_bounded(key: str, tmp_path: Path) -> None:
    with hostile("jump", tmp_path) as where:
        inner = {"host": "10.0.0.1", "port": 22, "key": key, "fingerprint": "SHA256:x"}
        told = dial(inner | {"jump": where | {"key": key}})
    assert told["reason"] == "ssh_unresponsive"
    assert told["growth_bytes"] < GROWTH_BYTES


@pytest.mark.parametrize("talk", ["a line without end", "a packet of four gigabytes"])
def test_a_jump_host_itself_is_bounded(talk: str, key: str) -> None:
    with serving(BEFORE_THE_KEYS[talk]) as port:
        jump = {"host": "127.0.0.1", "port": port, "key": key, "fingerprint": "SHA256:x"}
        told = dial({"host": "10.0.0.1", "port": 22, "key": key, "fingerprint": "x", "jump": jump})
    assert told["reason"] == "ssh_unresponsive"
    assert told["detail"].startswith("Jump host: ")
    assert told["growth_bytes"] < GROWTH_BYTES


def dial(where: dict[str, Any]) -> dict[str, Any]:
    """What came of a log-in there, in a child."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.connections.dial_in_child"],
        input=json.dumps(where | {"seconds": DEADLINE_SECONDS}).encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told
