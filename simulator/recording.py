"""What a program printed over a while, to be played again by `simulator.light`.

Nothing here knows the program. It marks its lines with 32 lower-case hexadecimal digits, which it
is given through its command or stdin; a line that is the marker, some letters and one number that
grows by one is a frame counter. Both are replaced when the recording is played.
"""

import asyncio
import base64
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from simulator.machine import Machine

MARKER = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Chunks closer than this left the program together.
_TOGETHER_SECONDS = 0.005
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Bytes that are played as they are, or a counter that grows by `step` with every round."""

    text: bytes = b""
    is_marker: bool = False
    counter: int | None = None
    step: int = 0


@dataclass(frozen=True)
class Event:
    """Something printed at once, so many seconds after the start of its part."""

    after_seconds: float
    pieces: tuple[Piece, ...]

    def render(self, marker: bytes, round_number: int) -> bytes:
        """The bytes for one session, in the round that is played (0 for the first)."""
        return b"".join(
            marker
            if piece.is_marker
            else piece.text
            if piece.counter is None
            else b"%d" % (piece.counter + piece.step * round_number)
            for piece in self.pieces
        )


@dataclass(frozen=True)
class Recording:
    """A beginning that is played once, and a round that is repeated every `round_seconds`."""

    opening_seconds: float
    opening: tuple[Event, ...]
    round: tuple[Event, ...]
    round_seconds: float


Chunks = list[tuple[float, bytes]]
Launch = Callable[[str], tuple[str, bytes]]
"""Marker → the command and what goes through its stdin (which then stays open)."""


async def record(
    machine: Machine,
    private_key_path: Path,
    launch: Launch,
    *,
    opening_seconds: float = 4.0,
    round_seconds: float = 10.0,
) -> Recording:
    """Run a program on a machine of the full mode and keep what it prints.

    The opening and the round are cut by the clock; let both be a multiple of the program's own
    interval. Raises `ValueError` if it printed nothing in the round.
    """
    marker = secrets.token_hex(16)
    command, stdin = launch(marker)
    async with (
        asyncssh.connect(
            machine.spec.address,
            machine.port,
            username=machine.spec.username,
            client_keys=[str(private_key_path)],
            known_hosts=None,
            config=None,
        ) as connection,
        connection.create_process(command, encoding=None) as process,
    ):
        process.stdin.write(stdin)
        chunks = await _listen(process, opening_seconds + round_seconds)
        process.close()
    return arrange(chunks, marker.encode(), opening_seconds, round_seconds)


def arrange(
    chunks: Chunks, marker: bytes, opening_seconds: float, round_seconds: float
) -> Recording:
    """Cut what was printed into opening and round, and find marker and counters in it."""
    groups = _together(chunks)
    opening = [(after, text) for after, text in groups if after < opening_seconds]
    repeated = [
        (after - opening_seconds, text) for after, text in groups if after >= opening_seconds
    ]
    if not repeated:
        raise ValueError("The program printed nothing in the round.")
    steps = _steps(b"".join(text for _, text in repeated), marker)
    return Recording(
        opening_seconds,
        tuple(Event(after, _pieces(text, marker, {})) for after, text in opening),
        tuple(Event(after, _pieces(text, marker, steps)) for after, text in repeated),
        round_seconds,
    )


def save(recording: Recording, path: Path) -> None:
    """Write a recording for another process."""
    parts: dict[str, object] = {
        name: [
            [event.after_seconds, [_piece_to_json(piece) for piece in event.pieces]]
            for event in events
        ]
        for name, events in (("opening", recording.opening), ("round", recording.round))
    }
    lengths = {
        "opening_seconds": recording.opening_seconds,
        "round_seconds": recording.round_seconds,
    }
    path.write_text(json.dumps(parts | lengths), "utf-8")


def load(path: Path) -> Recording:
    """Read what `save` wrote."""
    kept = json.loads(path.read_text("utf-8"))
    opening, repeated = (
        tuple(
            Event(after, tuple(_piece_from_json(piece) for piece in pieces))
            for after, pieces in kept[name]
        )
        for name in ("opening", "round")
    )
    return Recording(kept["opening_seconds"], opening, repeated, kept["round_seconds"])


async def _listen(process: "asyncssh.SSHClientProcess[bytes]", seconds: float) -> Chunks:
    chunks: Chunks = []
    started = time.monotonic()
    while (left := started + seconds - time.monotonic()) > 0:
        try:
            text = await asyncio.wait_for(process.stdout.read(_READ_BYTES), left)
        except TimeoutError:
            break
        if not text:
            break
        chunks.append((time.monotonic() - started, text))
    return chunks


def _together(chunks: Chunks) -> Chunks:
    groups: Chunks = []
    last = -1.0
    for after, text in chunks:
        if groups and after - last < _TOGETHER_SECONDS:
            groups[-1] = (groups[-1][0], groups[-1][1] + text)
        else:
            groups.append((after, text))
        last = after
    return groups


def _counter_line(marker: bytes) -> "re.Pattern[bytes]":
    return re.compile(rb"^(" + marker + rb"[A-Za-z]* ?)(\d+)$", re.MULTILINE)


def _steps(text: bytes, marker: bytes) -> dict[bytes, int]:
    """Head of a counter line → how far it counts in one round."""
    seen: dict[bytes, list[int]] = {}
    for head, number in _counter_line(marker).findall(text):
        seen.setdefault(head, []).append(int(number))
    return {
        head: len(numbers)
        for head, numbers in seen.items()
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 1
    }


def _pieces(text: bytes, marker: bytes, steps: dict[bytes, int]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = 0
    for match in _counter_line(marker).finditer(text):
        if match[1] in steps:
            pieces += _marked(text[end : match.start(2)], marker)
            pieces.append(Piece(counter=int(match[2]), step=steps[match[1]]))
            end = match.end()
    return (*pieces, *_marked(text[end:], marker))


def _marked(text: bytes, marker: bytes) -> list[Piece]:
    pieces: list[Piece] = []
    for index, part in enumerate(text.split(marker)):
        if index:
            pieces.append(Piece(is_marker=True))
        if part:
            pieces.append(Piece(part))
    return pieces


def _piece_to_json(piece: Piece) -> str | list[int] | None:
    if piece.is_marker:
        return None
    if piece.counter is not None:
        return [piece.counter, piece.step]
    return base64.b64encode(piece.text).decode()


def _piece_from_json(kept: str | list[int] | None) -> Piece:
    if kept is None:
        return Piece(is_marker=True)
    if isinstance(kept, list):
        return Piece(counter=kept[0], step=kept[1])
    return Piece(base64.b64decode(kept))
