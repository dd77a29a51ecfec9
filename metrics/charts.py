"""What the History section draws, as data: the charts, the ranges and the GPUs to choose from.

A template paints the empty frames from it; `static/js/history.js` fills them from the API. A new
chart is a line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from metrics.history import query as history_query
from metrics.models import GpuIdentity


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: a series of the history, and what it is called beside its chart."""

    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One frame; `ceiling` fixes the top of the scale, None lets the values decide."""

    key: str
    title: str
    icon: str
    unit: str
    lines: tuple[Line, ...]
    ceiling: int | None = None

    @property
    def lines_text(self) -> str:
        """The lines as the script reads them: `metric:label`, by commas."""
        return ",".join(f"{line.metric}:{line.label}" for line in self.lines)


def _percent(key: str, title: str, icon: str, *lines: Line) -> Chart:
    return Chart(key, title, icon, "percent", lines, ceiling=100)


CHARTS: tuple[Chart, ...] = (
    _percent("utilization", "GPU utilisation", "gauge", Line("gpu_percent", "GPU")),
    _percent(
        "memory",
        "Memory",
        "memory-stick",
        Line("gpu_memory_percent", "GPU"),
        Line("memory_percent", "Machine"),
    ),
    Chart(
        "temperature",
        "GPU temperature",
        "thermometer",
        "celsius",
        (Line("gpu_temperature_c", "GPU"),),
    ),
    Chart("power", "GPU power", "zap", "watts", (Line("gpu_power_watts", "GPU"),)),
    _percent("cpu", "CPU", "cpu", Line("cpu_percent", "CPU")),
    Chart(
        "network",
        "Network",
        "network",
        "bytes_per_second",
        (Line("network_rx_bytes_per_second", "In"), Line("network_tx_bytes_per_second", "Out")),
    ),
    _percent("disk", "Disk /", "hard-drive", Line("disk_percent", "Used")),
)

# Name in the address, what the button says, what it is called in full.
RANGES: tuple[tuple[str, str, str], ...] = (
    ("1h", "1h", "last hour"),
    ("6h", "6h", "last 6 hours"),
    ("24h", "24h", "last 24 hours"),
    ("7d", "7d", "last 7 days"),
    ("30d", "30d", "last 30 days"),
    ("12m", "12m", "last 12 months"),
)


_NEWEST = """
SELECT coalesce(
    (SELECT max(at) FROM metrics_raw_machine WHERE machine = m.id),
    (SELECT max(at) FROM metrics_hourly_machine WHERE machine = m.id) + interval '1 hour',
    (SELECT max(at) FROM metrics_daily_machine WHERE machine = m.id) + interval '1 day')
FROM metrics_machine m WHERE connection_id = %s
"""


def gpu_indices(connection_id: UUID, sample: Mapping[str, Any] | None) -> list[int]:
    """The GPUs that the machine has now or that its history knows."""
    seen = set(
        GpuIdentity.objects.filter(machine__connection=connection_id).values_list(
            "index", flat=True
        )
    )
    return sorted(seen | {gpu["index"] for gpu in (sample or {"gpus": ()})["gpus"]})


def coverage(connection_id: UUID) -> tuple[datetime | None, datetime | None]:
    """The times of the first and the last numbers that are kept of this machine."""
    firsts = [at for at in history_query.oldest(connection_id).values() if at is not None]
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [connection_id])
        (newest,) = cursor.fetchone() or (None,)
    return min(firsts, default=None), newest
