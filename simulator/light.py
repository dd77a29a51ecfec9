"""Hundreds of machines in one process, which answer every session with bytes made beforehand.

A session whose command or stdin holds a marker (see `simulator.recording`) is played the
recording, each machine a little later than the one before. Every other command is answered at once
from a table. Nothing runs: no shell, no SFTP, no forwarding. For benchmarks.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from simulator.fleet import fleet_folder, former_ports, write_fleet_file
from simulator.keys import kept_key
from simulator.loopthread import in_thread
from simulator.recording import MARKER, Event, Recording
from simulator.sshserver import Door, Journal, Server

_USERNAME = "sim"
_MOST_STDIN_BYTES = 1 << 20
# Fractions of the golden ratio spread any number of machines evenly.
_SPREAD = 0.6180339887


@dataclass(frozen=True)
class Answer:
    """What a command that matches `pattern` prints, and its exit status."""

    pattern: str
    text: bytes
    status: int = 0
    # Makes the text from what came through stdin, once that has ended.
    program: Callable[[bytes], bytes] | None = None


# The first that matches counts.
ANSWERS: tuple[Answer, ...] = (
    Answer(r"^echo ", b"ok\n"),
    Answer(r"^id\b", b"uid=1000(sim) gid=1000(sim) groups=1000(sim)\n"),
)
NOT_FOUND = Answer("", b"", 127)


@dataclass
class LightFleet:
    """The running machines, and what clients did."""

    folder: Path
    journal: Journal
    entries: list[dict[str, Any]] = field(default_factory=list)
    connections: "set[asyncssh.SSHServerConnection]" = field(default_factory=set)

    @property
    def sessions(self) -> Counter[int]:
        """How many clients are logged in, by the machine's port."""
        open_now = [one for one in list(self.connections) if one.get_extra_info("username")]
        names = [one.get_extra_info("sockname") for one in open_now]
        return Counter(name[1] for name in names if name is not None)  # None: it has just ended

    @property
    def private_key_path(self) -> Path:
        """The private key that opens every machine."""
        return self.folder / "client_key"


@contextlib.asynccontextmanager
async def start(
    count: int,
    folder: Path | str,
    recording: Recording,
    *,
    answers: Sequence[Answer] = ANSWERS,
    many_addresses: bool = False,
    spread_seconds: float = 2.0,
    login_seconds: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[LightFleet]:
    """Open `count` machines and write `fleet.json`.

    They share one host key, and stand on ports of 127.0.0.1, or with `many_addresses` on addresses
    of their own from 127.0.1.1 on (Linux alone has those). Their rounds begin within
    `spread_seconds` of each other; keep that to the interval of the program. `login_seconds` is
    asked before each log-in how long that takes.
    """
    folder = fleet_folder(folder)
    fleet = LightFleet(folder, Journal())
    client_key, host_key = kept_key(folder / "client_key"), kept_key(folder / "host_key")
    door = Door(_USERNAME, [client_key.convert_to_public()], None)
    ports = former_ports(folder)
    connections = fleet.connections
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(_abort, connections)
        for index in range(count):
            name = f"sim-light-{index + 1}"
            address = (
                f"127.0.{1 + index // 250}.{1 + index % 250}" if many_addresses else "127.0.0.1"
            )
            late = index * _SPREAD % 1 * spread_seconds
            play = _Play(recording, answers, fleet.journal, late, connections, login_seconds)
            listener = await _listen(address, ports.get(name, 0), play, door, host_key)
            stack.push_async_callback(_close, listener)
            fleet.entries.append(
                _entry(name, address, listener.get_port(), fleet.private_key_path, host_key)
            )
        write_fleet_file(folder, fleet.entries)
        yield fleet


@contextlib.contextmanager
def running(
    count: int,
    folder: Path | str,
    recording: Recording,
    *,
    answers: Sequence[Answer] = ANSWERS,
    many_addresses: bool = False,
    spread_seconds: float = 2.0,
    login_seconds: Callable[[], float] = lambda: 0.0,
) -> Iterator[LightFleet]:
    """As `start`, for code without an event loop."""
    opening = lambda: start(  # noqa: E731 - a call that is made in another thread
        count,
        folder,
        recording,
        answers=answers,
        many_addresses=many_addresses,
        spread_seconds=spread_seconds,
        login_seconds=login_seconds,
    )
    with in_thread(opening) as (fleet, _):
        yield fleet


@dataclass(frozen=True)
class _Play:
    """What one machine answers."""

    recording: Recording
    answers: Sequence[Answer]
    journal: Journal
    late_seconds: float
    connections: "set[asyncssh.SSHServerConnection]"
    login_seconds: Callable[[], float]

    def answer(self, command: str) -> Answer:
        """The first fitting answer; as a shell without that program where there is none."""
        fitting = (answer for answer in self.answers if re.search(answer.pattern, command))
        return next(fitting, NOT_FOUND)


class _LightServer(Server):
    """One connection."""

    def __init__(self, door: Door, play: _Play) -> None:
        super().__init__(door, play.journal)
        self._play = play

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the connection until it ends."""
        super().connection_made(conn)
        self._play.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._play.connections.discard(self._connection)

    async def begin_auth(self, username: str) -> bool:
        """Everybody has to prove who he is, and to wait for it."""
        await asyncio.sleep(self._play.login_seconds())
        return True

    def session_requested(self) -> "asyncssh.SSHServerSession[bytes]":
        """Every session is played."""
        return _LightSession(self._play)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        """Nothing is forwarded."""
        return False


class _LightSession(asyncssh.SSHServerSession[bytes]):
    """One session: it waits for a marker, then plays until it is closed."""

    def __init__(self, play: _Play) -> None:
        self._play = play
        self._command = ""
        self._stdin = bytearray()
        self._answer = NOT_FOUND
        self._marker: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        """Keep the channel."""
        self._chan = chan

    def exec_requested(self, command: str) -> bool:
        """Every command is welcome."""
        self._command = command
        self._play.journal.ran(command)
        return True

    def session_started(self) -> None:
        """Answer at once, unless the program comes through stdin."""
        if self._looks_for_marker(self._command.encode()):
            return
        self._answer = self._play.answer(self._command)
        if self._answer is not NOT_FOUND and self._answer.program is None:
            self._finish(self._answer)

    def data_received(self, data: bytes, datatype: "asyncssh.DataType") -> None:
        """Look for the marker in what comes; heartbeats and the rest are swallowed."""
        if self._marker is None and len(self._stdin) < _MOST_STDIN_BYTES:
            self._stdin += data
            if self._answer.program is None:
                self._looks_for_marker(bytes(self._stdin))

    def eof_received(self) -> bool:
        """The end of stdin ends the session, as it ends a program that listens to it."""
        if self._answer.program is not None:
            self._finish(Answer("", self._answer.program(bytes(self._stdin))))
        else:
            self._finish(Answer("", b"") if self._marker else NOT_FOUND)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop playing."""
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The client does not read: leave out what it would have to catch up with."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_paused = False

    def _looks_for_marker(self, text: bytes) -> bool:
        found = MARKER.search(text)
        if found is None:
            return False
        self._marker = found[0]
        self._stdin.clear()
        self._begin()
        return True

    def _begin(self) -> None:
        recording = self._play.recording
        self._started = asyncio.get_running_loop().time()
        self._round = -1
        self._events: tuple[Event, ...] = recording.opening
        self._next = 0
        # Each machine's rounds begin at another moment.
        self._rounds_start = self._started + recording.opening_seconds + self._play.late_seconds
        self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._next >= len(self._events):
            self._round += 1
            self._events = self._play.recording.round
            self._next = 0
            self._started = self._rounds_start + self._round * self._play.recording.round_seconds
        due = self._started + self._events[self._next].after_seconds
        self._timer = loop.call_at(due, self._say)

    def _say(self) -> None:
        assert self._marker is not None
        if not self._is_paused:
            event = self._events[self._next]
            self._chan.write(event.render(self._marker, max(0, self._round)))
        self._next += 1
        self._schedule()

    def _finish(self, answer: Answer) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._chan.write(answer.text)
        self._chan.exit(answer.status)


async def _listen(
    address: str, port: int, play: _Play, door: Door, host_key: asyncssh.SSHKey
) -> asyncssh.SSHAcceptor:
    options = asyncssh.SSHServerConnectionOptions(
        server_factory=lambda: _LightServer(door, play),
        server_host_keys=[host_key],
        encoding=None,
        line_editor=False,
        agent_forwarding=False,
        server_version="Simulated_1.0",
    )
    return await asyncssh.listen(address, port, options=options, reuse_address=True, backlog=128)


def _abort(connections: "set[asyncssh.SSHServerConnection]") -> None:
    for connection in list(connections):
        connection.abort()


async def _close(listener: asyncssh.SSHAcceptor) -> None:
    listener.close()
    await listener.wait_closed()


def _entry(
    name: str, address: str, port: int, key_path: Path, host_key: asyncssh.SSHKey
) -> dict[str, Any]:
    return {
        "name": name,
        "profile": "light",
        "hostname": address,
        "port": port,
        "username": _USERNAME,
        "private_key_path": str(key_path),
        "password": None,
        "host_key_fingerprint": host_key.get_fingerprint(),
        "host_key_line": " ".join(host_key.export_public_key().decode().split()[:2]),
    }
