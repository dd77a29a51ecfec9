"""What is told of a job's run: curves of machine and GPUs over its span, energy, cost, scalars.

Energy and utilisation are the sums over the machine's samples (`jobs/tracking/energy.py`). Where
those cover less of the run than the stored history, as after a day on which no keeper ran, the
history answers: mean power × time of its rows, cut to the span. Cost is the energy at today's
price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.utils import timezone
from psycopg import sql

from core.times import iso
from jobs.models import Job
from jobs.results import ingest, usage
from jobs.tracking import energy
from jobs.tracking.curves import Curves, Point
from metrics.history import columnar
from metrics.history import query as history_query
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS
from metrics.history.query import Span
from metrics.history.tiers import RAW, Tier
from metrics.models import Machine
from usage.models import UsageSettings

MOST_POINTS = 1500
_MACHINE = [metric.name for metric in MACHINE_METRICS]
_GPU = [metric.name for metric in GPU_METRICS]
# The tally is preferred unless it misses more than this part of what the history has.
_AS_GOOD = 0.98
_WH_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Use:
    """Watt-hours and percent, and of how many seconds of the run; None: not told."""

    energy_wh: float | None
    mean_gpu_percent: float | None
    seconds: float


def as_dict(job: Job, max_points: int = MOST_POINTS) -> dict[str, Any]:
    """The answer of the API; before the start it has no series and no figures."""
    scalars = ingest.catch_up(job)
    told = _of_run(job, max_points) if job.started_at is not None else _nothing()
    return {
        **told,
        **_curves(scalars.curves, max_points),
        "scalars_note": scalars.curves.note,
        "scalars_complete": job.log_complete and scalars.offset >= job.log_bytes,
    }


def span_of(job: Job) -> Span:
    """From the start to the end, or to now."""
    assert job.started_at is not None
    return Span(job.started_at, job.completed_at or timezone.now())


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(
        (
            "start",
            "end",
            "tier",
            "resolution_seconds",
            "energy_wh",
            "measured_seconds",
            "mean_gpu_percent",
            "peak_gpu_memory_bytes",
            "cost",
            "currency",
        )
    ) | {"series": {"timestamp": [], "machine": {}, "gpus": {}}}


def _of_run(job: Job, max_points: int) -> dict[str, Any]:
    span = span_of(job)
    return {
        "start": iso(span.start),
        "end": iso(span.end),
        **_series(job, span, max_points),
        **used(job),
    }


def used(job: Job) -> dict[str, Any]:
    """The figures of a run that has started, without its curves."""
    measure = usage.measure(job, timezone.now())
    use, prices = _use(job, span_of(job), usage.tally_of(measure)), UsageSettings.load()
    price = prices.price_per_kwh
    is_priced = use.energy_wh is not None and price is not None
    return {
        "energy_wh": _rounded(use.energy_wh),
        "measured_seconds": _rounded(use.seconds),
        "mean_gpu_percent": _rounded(use.mean_gpu_percent),
        "peak_gpu_memory_bytes": measure.peak_memory_bytes,
        "cost": _rounded((use.energy_wh or 0.0) / 1000 * float(price or 0)) if is_priced else None,
        "currency": prices.currency or None,
    }


# --- Curves --------------------------------------------------------------------------------------


def _series(job: Job, span: Span, max_points: int) -> dict[str, Any]:
    """The machine's and each granted GPU's series, all on one time base."""
    whole = _slice(job, span, max_points, None, _MACHINE)
    gpus = {
        str(gpu): _slice(job, span, max_points, gpu, _GPU)["series"]
        for gpu in energy.whole_gpus(job.granted)
    }
    machine = whole["series"]
    timestamp = machine.pop("timestamp")
    for series in gpus.values():
        series.pop("timestamp")
    return whole | {"series": {"timestamp": timestamp, "machine": machine, "gpus": gpus}}


def _slice(
    job: Job, span: Span, max_points: int, gpu: int | None, names: Sequence[str]
) -> dict[str, Any]:
    found = history_query.slice(
        job.connection_id,
        span,
        gpu=gpu,
        max_points=max_points,
        metrics=names,
        digits=columnar.DIGITS,
    )
    return columnar.as_dict(found)


def _curves(curves: Curves, max_points: int) -> dict[str, Any]:
    """Per name columns of steps, values and times, and the newest progress bar."""
    progress = curves.progress
    return {
        "scalars": {
            name: columns(curve.shown(max_points)) for name, curve in curves.by_name.items()
        },
        "progress": None
        if progress is None
        else {
            "percent": progress.percent,
            "step": progress.done,
            "total": progress.total,
            "rate_per_second": progress.rate_per_second,
            "eta_seconds": progress.eta_seconds,
        },
    }


def columns(points: Sequence[Point]) -> dict[str, list[Any]]:
    """Points as JSON has them, times as text."""
    return {
        "step": [step for step, _, _ in points],
        "value": [value for _, value, _ in points],
        "timestamp": [None if at is None else _moment(at) for _, _, at in points],
    }


def _moment(milliseconds: int) -> str | None:
    return iso(datetime.fromtimestamp(milliseconds / 1000, tz=timezone.get_default_timezone()))


# --- What it used --------------------------------------------------------------------------------


def _use(job: Job, span: Span, sums: energy.Tally) -> Use:
    """By the samples, or by the history where that knows more of the run."""
    by_samples = Use(
        sums.energy_wh, sums.mean_percent, max(sums.power_seconds, sums.percent_seconds)
    )
    length = (span.end - span.start).total_seconds()
    if not job.granted or by_samples.seconds >= _AS_GOOD * length - settings.PERSIST_SECONDS:
        return by_samples
    stored = _stored_use(job, span)
    return by_samples if by_samples.seconds >= _AS_GOOD * stored.seconds else stored


def _stored_use(job: Job, span: Span) -> Use:
    machine = Machine.objects.filter(connection_id=job.connection_id).first()
    gpus = energy.whole_gpus(job.granted)
    if machine is None or len(gpus) < len(job.granted or ()):
        return Use(None, None, 0.0)
    tier = history_query.tier_for(machine, span)
    each = [_stored(tier, machine, span, gpu) for gpu in gpus]
    joules, power_seconds, busy, percent_seconds = map(sum, zip(*each, strict=True))
    return Use(
        joules / 3600 if power_seconds else None,
        busy / percent_seconds if percent_seconds else None,
        max(power_seconds, percent_seconds) / len(gpus),
    )


def _stored(
    tier: Tier, machine: Machine, span: Span, gpu: int
) -> tuple[float, float, float, float]:
    """Joules and percent × seconds of one GPU over its stored rows, each with its seconds."""
    names = ("gpu_power_watts", "gpu_percent")
    wide = Span(span.start - tier.resolution, span.end + tier.resolution)
    found = history_query.rows_sql(tier, machine, wide, gpu, names)
    query = sql.SQL("SELECT at, gpu_power_watts_avg, gpu_percent_avg FROM ({}) r").format(found)
    with database.cursor() as cursor:
        cursor.execute(query)
        rows = cursor.fetchall()
    parts = [(_overlap(tier, at, span), watts, percent) for at, watts, percent in rows]
    power = [(seconds, watts) for seconds, watts, _ in parts if watts is not None]
    use = [(seconds, percent) for seconds, _, percent in parts if percent is not None]
    return (
        sum(seconds * watts for seconds, watts in power),
        sum(seconds for seconds, _ in power),
        sum(seconds * percent for seconds, percent in use),
        sum(seconds for seconds, _ in use),
    )


def _overlap(tier: Tier, at: datetime, span: Span) -> float:
    """Seconds of a row that lie in the span; a raw row is named by its end, others by the start."""
    start = at - tier.resolution if tier is RAW else at
    seconds = (min(start + tier.resolution, span.end) - max(start, span.start)).total_seconds()
    return max(0.0, seconds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _WH_DIGITS)
