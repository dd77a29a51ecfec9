"""The last half hour of each machine of the overview: one small curve per row, by one query.

A point is a minute, and its value the mean of the raw tier's windows that end in it: how busy the
GPUs were, or the processor of a machine without any. `static/js/spark.js` draws the same and adds
the live samples. A minute without readings is a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from core.formats import number

POINTS = 30
HEIGHT = 24
_MINUTE = 60
# Room for the line's own width at the top and at the bottom.
_MARGIN = 1

# A window that ends with a minute lies in that minute.
_LOADS = """
SELECT m.connection_id, ceil(extract(epoch FROM at) / 60)::int - 1,
       avg(gpu_percent_avg), avg(cpu_percent_avg)
FROM metrics_raw_machine JOIN metrics_machine m ON m.id = machine
WHERE m.connection_id = ANY(%s) AND at > to_timestamp(%s) AND at <= to_timestamp(%s)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Thirty minutes up to `minute`, counted since 1970; percent, None is a gap."""

    minute: int
    values: Sequence[float | None]
    of: str = "GPU"

    @property
    def path(self) -> str:
        """The curve as an SVG path, a minute wide per unit; gaps lift the pen."""
        parts, is_down = [], False
        for place, value in enumerate(self.values):
            if value is not None:
                parts.append(f"{'L' if is_down else 'M'}{place} {_height(value)}h.5")
            is_down = value is not None
        return "".join(parts)

    @property
    def numbers(self) -> str:
        """The values for the script, a gap as nothing."""
        return ",".join("" if value is None else f"{value:.0f}" for value in self.values)

    @property
    def text(self) -> str:
        """The curve in words."""
        known = [value for value in self.values if value is not None]
        if not known:
            return "last 30 minutes: no reading"
        low, high = number(min(known)), number(max(known))
        return f"{self.of}, last 30 minutes: {low} to {high} %"


def _height(value: float) -> str:
    room = HEIGHT - 2 * _MARGIN
    return f"{HEIGHT - _MARGIN - room * min(100.0, max(0.0, value)) / 100:.1f}"


def of(connection_ids: Sequence[UUID], now: datetime) -> dict[UUID, Sparkline]:
    """A sparkline for each machine, an empty one where nothing was kept; one query."""
    last = int(now.timestamp()) // _MINUTE
    first = last - POINTS + 1
    gpu: dict[UUID, dict[int, float]] = {}
    cpu: dict[UUID, dict[int, float]] = {}
    for key, minute, gpu_load, cpu_load in _rows(connection_ids, first, last):
        if gpu_load is not None:
            gpu.setdefault(key, {})[minute] = gpu_load
        if cpu_load is not None:
            cpu.setdefault(key, {})[minute] = cpu_load
    return {key: _sparkline(gpu.get(key), cpu.get(key), first, last) for key in connection_ids}


def _rows(
    connection_ids: Sequence[UUID], first: int, last: int
) -> list[tuple[UUID, int, float | None, float | None]]:
    with connection.cursor() as cursor:
        cursor.execute(_LOADS, [list(connection_ids), first * _MINUTE, (last + 1) * _MINUTE])
        found: list[tuple[UUID, int, float | None, float | None]] = cursor.fetchall()
    return found


def _sparkline(
    gpu: dict[int, float] | None, cpu: dict[int, float] | None, first: int, last: int
) -> Sparkline:
    known = gpu or cpu or {}
    values = [known.get(minute) for minute in range(first, last + 1)]
    return Sparkline(last, values, "GPU" if gpu or not cpu else "CPU")
