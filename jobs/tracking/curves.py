"""The curves of a job's scalars: bounded in number and length however long the log is. Pure.

A curve that is full drops every second point and from then on takes every second, fourth … one, so
it always spans the whole run evenly; its last value is kept beside it. The same log gives the same
curves, however it was cut on the way.
"""

import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from jobs.tracking import parse
from jobs.tracking.parse import Figures, Progress

MOST_NAMES = 100
MOST_POINTS = 5000
_LEVEL = 3
# A line that does not end is given up at this length.
_LONGEST_OPEN = 64 * 1024
_ENDS = re.compile(rb"[\r\n]")

# Step, value (None: not finite), milliseconds since 1970 (None: not known).
Point = tuple[int, float | None, int | None]
# From this offset on bytes came at this time, in milliseconds.
Times = Sequence[Sequence[int]]


@dataclass(slots=True)
class Curve:
    """The points of one name; `seen` were printed, every `stride`-th is kept."""

    points: list[Point] = field(default_factory=list)
    seen: int = 0
    stride: int = 1
    last: Point | None = None

    def add(self, step: int | None, value: float | None, at: int | None) -> None:
        point = (self.seen if step is None else step, value, at)
        if self.seen % self.stride == 0:
            if len(self.points) == MOST_POINTS:
                self.points = self.points[::2]
                self.stride *= 2
            if self.seen % self.stride == 0:
                self.points.append(point)
        self.seen += 1
        self.last = point

    def shown(self, most: int) -> list[Point]:
        """At most `most` points evenly over the run, the last one always among them."""
        every = list(self.points)
        if self.last is not None and every[-1] != self.last:
            every.append(self.last)
        if len(every) <= most:
            return every
        step = (len(every) - 1) / max(1, most - 1)
        return [every[round(number * step)] for number in range(most - 1)] + every[-1:]


@dataclass(slots=True)
class Curves:
    """All curves of a job, and how far its newest progress bar is."""

    by_name: dict[str, Curve] = field(default_factory=dict)
    progress: Progress | None = None
    # Bytes of the log that took too long to read, and are in no curve.
    skipped: int = 0

    @classmethod
    def load(cls, kept: bytes) -> "Curves":
        """From what `dump` made; of nothing, no curves."""
        return cls.from_dict(orjson.loads(zlib.decompress(kept))) if kept else cls()

    def dump(self) -> bytes:
        return zlib.compress(orjson.dumps(self.as_dict()), _LEVEL)

    @property
    def note(self) -> str | None:
        """What a reader of the curves has to know."""
        if not self.skipped:
            return None
        kib = -(-self.skipped // 1024)
        return f"{kib} KiB of the log took too long to read and are in no curve."

    def read(self, data: bytes, offset: int, times: Times, *, is_end: bool) -> int:
        """Take in the whole lines of `data`, which begins at `offset`; how many bytes that was."""
        read = 0
        starts = [start for start, _ in times]
        for begin, end in _lines(data, is_end=is_end):
            read = end
            if end - begin == 1:
                continue
            figures = parse.of_line(data[begin:end].decode("utf-8", "replace"))
            if figures is not parse.NOTHING:
                number = bisect_right(starts, offset + begin) - 1
                self._take(figures, times[number][1] if number >= 0 else None)
        return read

    def _take(self, figures: Figures, at: int | None) -> None:
        self.progress = figures.progress or self.progress
        for name, value in figures.values.items():
            curve = self.by_name.get(name)
            if curve is None and len(self.by_name) < MOST_NAMES:
                curve = self.by_name[name] = Curve()
            if curve is not None:
                curve.add(figures.step, value, at)

    def last_values(self) -> dict[str, float | None]:
        return {name: curve.last[1] for name, curve in self.by_name.items() if curve.last}

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` takes it back."""
        kept = {
            name: [curve.points, curve.seen, curve.stride, curve.last]
            for name, curve in self.by_name.items()
        }
        progress = asdict(self.progress) if self.progress else None
        return {"curves": kept, "progress": progress, "skipped": self.skipped}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> "Curves":
        by_name = {
            name: Curve([_point(p) for p in points], seen, stride, _point(last) if last else None)
            for name, (points, seen, stride, last) in kept["curves"].items()
        }
        progress = kept["progress"]
        skipped = kept.get("skipped", 0)
        return cls(by_name, Progress(**progress) if progress else None, skipped)


def _point(kept: Sequence[Any]) -> Point:
    step, value, at = kept
    return step, value, at


def _lines(data: bytes, *, is_end: bool) -> Iterator[tuple[int, int]]:
    """Begin and end of each line and of each painting over of one, its end sign included."""
    begin = 0
    for found in _ENDS.finditer(data):
        yield begin, found.end()
        begin = found.end()
    rest = len(data) - begin
    if rest and (is_end or rest > _LONGEST_OPEN):
        yield begin, len(data)
