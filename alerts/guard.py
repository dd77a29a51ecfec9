"""How long the memory of a machine will last: a pure estimate from what was available lately.

Machines whose processor and GPU share one memory do not fail an allocation when it runs out, they
wedge. So the guard looks ahead: the slope of the last two minutes is the median of the slopes
between all pairs of points (Theil–Sen, which a few outliers do not bend), and what is left divided
by it is the time that remains.

It says so only if memory goes down in earnest:

* the fall over the window is larger than the noise around the line and than `LEAST_FALL`;
* it still goes on: the last `TAIL_SECONDS` fall at no less than half that pace;
* this is new: less is available than at any time in the ten minutes before the window, or caches
  that fill and empty again would be an alarm every few minutes.

Memory that is swapped out is no help: what falls is what is available, or that and the free swap
together, whichever is gone first. Under pressure (tasks wait for memory) the second and third
question are not asked: the machine has begun to fail.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median

from metrics.collectors.readings import Memory

WINDOW_SECONDS = 120.0
LEAST_SECONDS = 30.0
TAIL_SECONDS = 20.0
BASELINE_SECONDS = 600.0
# What lies further ahead than this is no news.
HORIZON_SECONDS = 1800.0
# Shares of the total: how much must be gone, and by how much the old low must be undercut.
LEAST_FALL = 0.01
LEAST_NEWS = 0.005
# Percent of the last ten seconds in which some task waited for memory.
PRESSURE_PERCENT = 20.0
# Points that take part in the slope: 20 make 190 pairs, 60 would make 1,770 for the same answer.
MOST_POINTS = 20
# Not before this share of memory is taken: a load that fits needs no warning.
BUSY_SHARE = 0.5

NEVER = math.inf
Point = tuple[float, float]  # seconds, bytes


@dataclass(slots=True)
class Gauge:
    """The last minutes of one machine's memory."""

    points: deque[tuple[float, float, float]] = field(default_factory=deque)
    lows: deque[tuple[float, float]] = field(default_factory=deque)  # minute, least available

    def add(self, at: float, memory: Memory) -> float | None:
        """Take a reading at `at` (seconds of any clock); the seconds left.

        `NEVER` if no end is in sight, None where the machine does not report its memory.
        """
        available, total = memory.available_bytes, memory.total_bytes
        if available is None or not total:
            return None
        free_swap = max(0, (memory.swap_total_bytes or 0) - (memory.swap_used_bytes or 0))
        self.points.append((at, float(available), float(available + free_swap)))
        while self.points[0][0] < at - WINDOW_SECONDS:
            self._lower(*self.points.popleft()[:2])
        while self.lows and self.lows[0][0] < at - BASELINE_SECONDS - WINDOW_SECONDS:
            self.lows.popleft()
        if available > BUSY_SHARE * total:
            return NEVER
        low = min((least for _, least in self.lows), default=None)
        return seconds_left(
            list(self.points), float(total), low=low, pressure=memory.pressure_percent
        )

    def _lower(self, at: float, available: float) -> None:
        """Remember the least of each minute that has left the window."""
        minute = at // 60 * 60
        if self.lows and self.lows[-1][0] == minute:
            available = min(available, self.lows.pop()[1])
        self.lows.append((minute, available))


def seconds_left(
    points: Sequence[tuple[float, float, float]],
    total: float,
    *,
    low: float | None = None,
    pressure: float | None = None,
) -> float:
    """Seconds until nothing is left, `NEVER` if no end is in sight.

    `points` are (seconds, available bytes, available plus free swap bytes), oldest first, of the
    last `WINDOW_SECONDS`; `low` is the least that was available before.
    """
    if not points or points[-1][0] - points[0][0] < LEAST_SECONDS:
        return NEVER
    is_failing = pressure is not None and pressure >= PRESSURE_PERCENT
    if not is_failing and low is not None and points[-1][1] > low - LEAST_NEWS * total:
        return NEVER
    available = [(at, value) for at, value, _ in points]
    with_swap = [(at, value) for at, _, value in points]
    left = min(_until_empty(line, total, is_failing) for line in (available, with_swap))
    return left if left <= HORIZON_SECONDS else NEVER


def _until_empty(points: Sequence[Point], total: float, is_failing: bool) -> float:
    fall = -slope(_thinned(points))
    if fall <= 0:
        return NEVER
    gone = fall * (points[-1][0] - points[0][0])
    if gone < LEAST_FALL * total or gone < 2 * _noise(points, -fall):
        return NEVER
    tail = [point for point in points if point[0] >= points[-1][0] - TAIL_SECONDS]
    if not is_failing and -slope(tail) < fall / 2:
        return NEVER
    return points[-1][1] / fall


def slope(points: Sequence[Point]) -> float:
    """Bytes a second: the median over all pairs of points; 0 for fewer than two."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def _noise(points: Sequence[Point], pace: float) -> float:
    """How far the points typically lie from the line."""
    level = median(value - pace * at for at, value in points)
    return median(abs(value - pace * at - level) for at, value in points)


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most `MOST_POINTS`, evenly taken, the newest among them."""
    pace = max(1, math.ceil(len(points) / MOST_POINTS))
    return points[::-1][::pace][::-1]


def words(seconds: float) -> str:
    """“about 4 minutes left”."""
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} seconds left"
    return f"about {round(seconds / 60)} minutes left"
