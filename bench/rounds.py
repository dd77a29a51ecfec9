"""The part `queue`: what a round of a long queue costs its keeper.

`bench/queueing.py` does the work in a process of its own; this file starts it, and prints its
figures.
"""

from collections.abc import Sequence

from bench import site
from bench.figures import Goal, Queue

MOST_MS = 20.0
_SECONDS = 600


def measure(place: site.Site) -> Queue:
    """Raises `Broken` when the program ends badly."""
    return Queue(**site.answer(place, "bench.queueing", seconds=_SECONDS, what="The queue"))


def lines(found: Queue) -> list[tuple[str, Sequence[str]]]:
    """Rows of the report."""
    return [
        (f"A round of a queue, {found.jobs} jobs wait", ["now", "before", "before / now"]),
        _row("CPU, ms, nothing has changed", found.still, found.before),
        _row("CPU, ms, the use of the GPUs has", found.moving, found.before),
    ]


def goals(found: Queue | None) -> list[Goal]:
    figure = max(found.still, found.moving) if found is not None else None
    return [Goal("CPU of a round with 2,000 queued jobs, ms", MOST_MS, figure)]


def _row(label: str, now: float, before: float) -> tuple[str, Sequence[str]]:
    return label, [f"{now:.1f}", f"{before:.1f}", f"{before / now:.0f}"]
