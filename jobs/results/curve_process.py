"""The site's side of `jobs/tracking/curve_reader.py`: one such process, started when it is needed.

`TooCostly` says that the piece is to blame: the process used up its CPU or its memory on it.
`Busy` says that nobody is: others are being read, or the processors have no time.
"""

import atexit
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.web.waiting import outside_database
from jobs.tracking import curve_reader

# A request's share of CPU comes earlier, unless the processors have no time for it.
ANSWER_SECONDS = 60.0
# Whoever looks at a page gets the curves as they are rather than wait for others' logs.
TURN_SECONDS = 3.0
_END_SECONDS = 5.0


class TooCostly(Exception):
    """The piece took more than its share."""


class Busy(Exception):
    """It was not read; later it may be."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a log from `offset` on, and the curves so far; see `Curves.read`."""

    curves: bytes
    data: bytes
    offset: int
    times: Sequence[Sequence[int]]
    is_end: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The curves with the piece; `read` bytes of it were whole lines."""

    curves: bytes
    read: int
    last: dict[str, float | None]
    percent: float | None


class CurveProcess:
    """The reader of this process. Threads take turns."""

    def __init__(self, argv: Sequence[str] = (sys.executable, "-m", curve_reader.__name__)) -> None:
        self._argv = argv
        self._turn = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self.started = 0

    @outside_database()
    def read(self, piece: Piece) -> Answer:
        """Raises `TooCostly` and `Busy`."""
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise Busy
        try:
            return self._ask(piece)
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process; the next request starts another."""
        running, self._running = self._running, None
        if running is None:
            return
        running.kill()
        for pipe in (running.stdin, running.stdout):
            with contextlib.suppress(OSError):  # what was not sent is of no use any more
                if pipe is not None:
                    pipe.close()
        running.wait(timeout=_END_SECONDS)

    def _ask(self, piece: Piece) -> Answer:
        running = self._running or self._start()
        deadline = threading.Timer(ANSWER_SECONDS, running.kill)
        deadline.start()
        try:
            said, curves = _exchange(running, piece)
        except (OSError, ValueError) as error:
            is_late = not deadline.is_alive()
            self.close()
            raise (Busy if is_late else TooCostly) from error
        finally:
            deadline.cancel()
        if said["cpu"] > curve_reader.LIFETIME_CPU_SECONDS:
            self.close()
        return Answer(curves, said["read"], said["last"], said["percent"])

    @outside_database()
    def _start(self) -> "subprocess.Popen[bytes]":
        self._running = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.started += 1
        return self._running


def _exchange(running: "subprocess.Popen[bytes]", piece: Piece) -> tuple[dict[str, Any], bytes]:
    """One request and its answer; `OSError` or `ValueError` once the process is gone."""
    assert running.stdin is not None
    assert running.stdout is not None
    header = {
        "offset": piece.offset,
        "times": piece.times,
        "is_end": piece.is_end,
        "curves": len(piece.curves),
        "data": len(piece.data),
    }
    running.stdin.write(json.dumps(header).encode() + b"\n" + piece.curves + piece.data)
    running.stdin.flush()
    said: dict[str, Any] = json.loads(running.stdout.readline())
    curves = running.stdout.read(said["curves"])
    if len(curves) != said["curves"]:
        raise ValueError("the answer has no end")
    return said, curves


# The reader of this process.
reader = CurveProcess()
atexit.register(reader.close)
