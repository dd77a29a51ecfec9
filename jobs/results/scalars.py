"""What a job has printed, for whoever draws it: some curves whole, of all others the last value."""

from collections.abc import Sequence
from typing import Any

from core.times import iso
from jobs.models import Job
from jobs.results import ingest, summary
from jobs.tracking import metric_order
from jobs.tracking.curves import Curve, Curves


def as_dict(job: Job, names: Sequence[str] | None, max_points: int) -> dict[str, Any]:
    """The answer of the API: the curves of `names`, without it those that count most.

    A name that was not printed (yet) has no curve. `end` is that of the run, None while it goes on.
    """
    row = ingest.catch_up(job)
    curves = row.curves
    drawn = at_first(curves.by_name) if names is None else names
    return {
        "end": iso(job.completed_at),
        "complete": job.is_final and job.log_complete and row.offset >= job.log_bytes,
        "names": metric_order.in_order(curves.by_name),
        "last": {name: _last(curve) for name, curve in curves.by_name.items()},
        "scalars": _whole(curves, drawn, max_points),
        "note": curves.note,
    }


def at_first(names: Sequence[str] | dict[str, Curve]) -> list[str]:
    """The names that are drawn before anybody has chosen."""
    return metric_order.in_order(names)[: metric_order.AT_FIRST]


def _whole(curves: Curves, names: Sequence[str], max_points: int) -> dict[str, Any]:
    found = {name: curves.by_name[name] for name in names if name in curves.by_name}
    return {name: summary.columns(curve.shown(max_points)) for name, curve in found.items()}


def _last(curve: Curve) -> dict[str, Any]:
    step, value, _ = curve.last or (None, None, None)
    return {"step": step, "value": value}
