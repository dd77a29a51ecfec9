"""The part `history`: a year written, rolled up, asked for, beside `psql \\copy` of the same rows.

`bench/year.py` does the work in a process of its own; this file starts it, and prints its figures.
"""

import shutil
import subprocess
import time
from pathlib import Path

from bench import prometheus, site
from bench.figures import Asked, Goal, History, percentile
from core import embedded
from metrics.history import tiers

# Of one answer, and of the time in the database for the last day: p95 in ms.
MOST_ANSWER_MS = 50.0
MOST_DATABASE_MS = 15.0
# What is asked for alone, here and of Prometheus.
SERIES = "gpu_percent"
_DAYS = 365
_SECONDS = 1800


def measure(place: site.Site, folder: Path, *, days: int = _DAYS) -> History:
    """Raises `Broken` when the program ends badly."""
    folder.mkdir()
    rows = folder / "rows"
    told = site.answer(place, "bench.year", str(days), str(rows), seconds=_SECONDS, what="The year")
    ranges = {name: Asked(**asked) for name, asked in told.pop("ranges").items()}
    return History(
        **told,
        copy_seconds=_psql(place, rows),
        ranges=ranges,
        prometheus_ms=prometheus.ask(rows, _column(), folder / "prometheus"),
    )


def _column() -> int:
    """Where the series that is compared stands in a raw row."""
    table = tiers.RAW.machine
    return [*table.key, *table.numbers].index(f"{SERIES}_avg")


def _psql(place: site.Site, rows: Path) -> float | None:
    """Seconds in which `psql` copies the rows into a table of the same shape; None without it."""
    if shutil.which("psql") is None:
        return None
    address = embedded.database_url(place.directory)
    make = (
        "CREATE UNLOGGED TABLE beside (LIKE metrics_raw_machine); ALTER TABLE beside SET LOGGED;"
        "CREATE UNIQUE INDEX ON beside (machine, at)"
    )
    subprocess.run(["psql", "-qX", "-c", make, address], check=True, capture_output=True)
    started = time.perf_counter()
    copy = f"\\copy beside FROM '{rows}'"
    subprocess.run(["psql", "-qX", "-c", copy, address], check=True, capture_output=True)
    return time.perf_counter() - started


def lines(history: History) -> list[tuple[str, list[str]]]:
    """Labels and cells of the table."""
    rows = history.rows
    copied = history.copy_seconds
    table = [
        (f"{rows:,} windows of one machine", ["rows/s"]),
        ("written with their notes, 1,000 a transaction", [f"{rows / history.write_seconds:,.0f}"]),
        (
            "psql \\copy of the same rows, one transaction",
            [f"{rows / copied:,.0f}" if copied else "-"],
        ),
        (
            f"rolled up to {history.hours:,} hours and days",
            [f"{rows / history.roll_up_seconds:,.0f}"],
        ),
        (
            "range",
            ["answer p95", "database p95", "bytes", "one series, median", "Prometheus, median"],
        ),
    ]
    return table + [(name, _cells(history, name)) for name in history.ranges]


def _cells(history: History, name: str) -> list[str]:
    asked = history.ranges[name]
    times = [f"{percentile(of, 95):.1f} ms" for of in (asked.answer_ms, asked.database_ms)]
    one = f"{percentile(asked.one_ms, 50):.1f} ms"
    peer = history.prometheus_ms
    beside = f"{percentile(peer[name], 50):.1f} ms" if peer is not None else "-"
    return [*times, f"{asked.bytes:,}", one, beside]


def goals(history: History | None) -> list[Goal]:
    """What the history promises, beside what was found."""
    ranges = history.ranges if history is not None else {}
    answers = [percentile(asked.answer_ms, 95) for asked in ranges.values()]
    day = ranges.get("24h")
    return [
        Goal("any range of a machine, p95 in ms", MOST_ANSWER_MS, max(answers, default=None)),
        Goal(
            "24 h in the database, p95 in ms",
            MOST_DATABASE_MS,
            percentile(day.database_ms, 95) if day is not None else None,
        ),
    ]
