"""The figures of a run as its page shows them: what it used, and the last of each printed curve."""

from collections.abc import Sequence
from typing import Any

from core.formats import ABSENT, number, quantity, size
from core.times import iso
from jobs.models import Job
from jobs.results import scalars as printing
from jobs.results import summary

# Curves are thinned by keeping first and last; only the last values are shown here.
_POINTS = 2
_DIGITS = 5


def of_run(job: Job) -> dict[str, Any]:
    """Pairs of a title and a text with its unit; an absent figure is a dash. Asks no machine."""
    told = summary.as_dict(job, _POINTS)
    cost = number(told["cost"], 2) if told["cost"] is not None else ABSENT
    return {
        "figures": [
            ("Energy", quantity(told["energy_wh"], "Wh", 1)),
            ("Cost", f"{cost} {told['currency'] or ''}".strip()),
            ("Mean GPU utilisation", quantity(told["mean_gpu_percent"], "%")),
            ("Peak GPU memory of the job", size(told["peak_gpu_memory_bytes"])),
        ],
        "progress": told["progress"],
    }


def printed(job: Job, chosen: Sequence[str]) -> dict[str, Any]:
    """Name, step and text of the last of each curve, and which of them are drawn.

    Without `chosen` those that count most are; it may hold names that are not printed yet.
    """
    told = printing.as_dict(job, (), _POINTS)
    last = told["last"]
    return {
        "scalars": [
            (name, last[name]["step"], shown(last[name]["value"])) for name in told["names"]
        ],
        "curves_note": told["note"],
        "drawn": chosen or printing.at_first(told["names"]),
        "run_start": iso(job.started_at),
        "run_end": iso(job.completed_at) or "",
    }


def shown(value: float | None) -> str:
    """A printed value; a dash for what is not finite."""
    return ABSENT if value is None else f"{value:.{_DIGITS}g}"
