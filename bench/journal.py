"""The part `log`: what a byte of a job's log costs in the database's journal (WAL).

`bench/appending.py` does the work in a process of its own; this file starts it, and prints its
figures.
"""

from collections.abc import Sequence

from bench import site
from bench.figures import Goal, Journal

# For each byte of log that is printed line by line.
MOST_BYTES = 4.0
_SECONDS = 900


def measure(place: site.Site) -> Journal:
    """Raises `Broken` when the program ends badly."""
    return Journal(**site.answer(place, "bench.appending", seconds=_SECONDS, what="The journal"))


def lines(found: Journal) -> list[tuple[str, Sequence[str]]]:
    """Rows of the report."""
    return [
        ("Journal (WAL) of a job's log", ["now", "before", "before / now"]),
        _row("bytes per byte of log printed line by line", found.lines, found.lines_before),
        _row("bytes per dot that is printed alone", found.dots, found.dots_before),
    ]


def goals(found: Journal | None) -> list[Goal]:
    figure = found.lines if found is not None else None
    return [Goal("WAL bytes per byte of log printed line by line", MOST_BYTES, figure)]


def _row(label: str, now: float, before: float) -> tuple[str, Sequence[str]]:
    return label, [f"{now:.2f}", f"{before:.2f}", f"{before / now:.0f}"]
