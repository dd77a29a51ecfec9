"""`python -m bench.exports`: a year of raw rows as CSV, beside `psql \\copy` of the same SELECT.

Both in turn over one PostgreSQL of the bench's own: rows per second, their ratio, the time to the
first byte, and what the memory grows by; then the other formats once. Prints a table; the exit
status is 0 whatever the figures are.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import site

ROWS = 1_577_000  # a year of windows of 20 seconds
_MIB = 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.exports", description="Measure the exports.")
    parser.add_argument("--rows", type=int, default=ROWS)
    count = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(prefix="dgxsite-bench-") as directory,
        site.serving(Path(directory) / "site") as place,
    ):
        argv = [sys.executable, "-m", "bench.exporting", str(count)]
        done = subprocess.run(argv, env=place.environment, check=True, stdout=subprocess.PIPE)
    print("\n".join(table(json.loads(done.stdout))))


def table(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures for people; medians of the turns, the goals beside them."""
    count = figures["rows"]
    ours = statistics.median(run["seconds"] for run in figures["csv"])
    psql = statistics.median(figures["psql_seconds"])
    first = max(run["first_byte_seconds"] for run in figures["csv"])
    growth = max(run["growth_bytes"] for run in figures["csv"])
    yield f"Export of {count:,} raw rows (median of {len(figures['csv'])} turns)"
    yield ""
    yield f"| {'what':28} | {'figure':>14} | {'goal':>10} |"
    yield f"|{'-' * 30}|{'-' * 16}|{'-' * 12}|"
    yield _line("CSV, rows a second", f"{count / ours:,.0f}")
    yield _line("psql \\copy, rows a second", f"{count / psql:,.0f}")
    yield _line("CSV against psql", f"{psql / ours:.2f}", ">= 0.90")
    yield _line("first byte, the slowest", f"{first * 1000:.0f} ms", "<= 300 ms")
    yield _line("growth of memory, the most", f"{growth / _MIB:.1f} MiB", "<= 16 MiB")
    for name, run in figures["others"].items():
        yield _line(f"{name}, rows a second", f"{count / run['seconds']:,.0f}")
        yield _line(f"{name}, growth of memory", f"{run['growth_bytes'] / _MIB:.1f} MiB")


def _line(what: str, figure: str, goal: str = "") -> str:
    return f"| {what:28} | {figure:>14} | {goal:>10} |"


if __name__ == "__main__":
    main()
