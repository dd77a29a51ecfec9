"""The figures of a run as its page shows them: what it used, and the last of each printed curve."""

from typing import Any

from dgxsite.formats import ABSENT, number, quantity, size
from jobs import job_metrics
from jobs.models import Job

# Curves are thinned by keeping first and last; only the last values are shown here.
_POINTS = 2
_DIGITS = 5


def of_run(job: Job) -> dict[str, Any]:
    """Pairs of a title and a text with its unit; an absent figure is a dash. Asks no machine."""
    told = job_metrics.as_dict(job, _POINTS)
    cost = number(told["cost"], 2) if told["cost"] is not None else ABSENT
    return {
        "figures": [
            ("Energy", quantity(told["energy_wh"], "Wh", 1)),
            ("Cost", f"{cost} {told['currency'] or ''}".strip()),
            ("Mean GPU utilisation", quantity(told["mean_gpu_percent"], "%")),
            ("Peak GPU memory of the job", size(told["peak_gpu_memory_bytes"])),
        ],
        "scalars": [
            (name, curve["step"][-1], _shown(curve["value"][-1]))
            for name, curve in sorted(told["scalars"].items())
            if curve["value"]
        ],
        "progress": told["progress"],
    }


def _shown(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.{_DIGITS}g}"
