"""What stands in a range export: which metrics, under which names, and how a value is written.

Two shapes: one mean per metric, or mean, least and greatest. The names are fixed; scripts and
spreadsheets of the users know them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from metrics.history.catalogue import MACHINE_METRICS, STATISTICS

TIMESTAMP = "timestamp"
# The metric's name in the history, and the short one that goes before `_avg`, `_min` and `_max`.
_NAMES = (
    ("cpu_percent", "cpu"),
    ("memory_percent", "memory"),
    ("disk_percent", "disk"),
    ("gpu_percent", "gpu"),
    ("gpu_memory_percent", "gpu_memory"),
    ("gpu_temperature_c", "gpu_temperature"),
    ("gpu_power_watts", "gpu_power"),
    ("network_rx_bytes_per_second", "network_rx"),
    ("network_tx_bytes_per_second", "network_tx"),
)
METRICS = tuple(metric for metric, _ in _NAMES)
_UNITS = {metric.name: metric.unit for metric in MACHINE_METRICS}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers: its name in the file, its column in the history, its unit."""

    name: str
    source: str
    unit: str


PLAIN: Sequence[Column] = tuple(
    Column(metric, f"{metric}_avg", _UNITS[metric]) for metric, _ in _NAMES
)
BANDS: Sequence[Column] = tuple(
    Column(f"{short}_{statistic}", f"{metric}_{statistic}", _UNITS[metric])
    for metric, short in _NAMES
    for statistic in STATISTICS
)


def header(columns: Sequence[Column]) -> list[str]:
    """The names in the file, the time first."""
    return [TIMESTAMP, *(column.name for column in columns)]


def units(columns: Sequence[Column]) -> dict[str, str]:
    """The unit of each column by its name in the file."""
    return {column.name: column.unit for column in columns}


# UTC with milliseconds and a Z, as everywhere else in the site.
STAMP = sql.SQL("""to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""")


def selected(columns: Sequence[Column]) -> sql.Composed:
    """The list of a SELECT over rows of the history, under the names of the file."""
    numbers = (
        sql.SQL("{} AS {}").format(sql.Identifier(column.source), sql.Identifier(column.name))
        for column in columns
    )
    stamp = sql.SQL("{} AS {}").format(STAMP, sql.Identifier(TIMESTAMP))
    return sql.SQL(", ").join([stamp, *numbers])
