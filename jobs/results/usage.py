"""What a job used, added up from the machine's samples while it runs and shortly after its end.

Every keeper does so for the machines it holds (`jobs/keeper/usage.py`), and whoever asks for a
job's metrics. The samples
are those of the live ring, which reaches two minutes back and outlives a keeper; each is added
once, because the row is locked and says how far it is. The peak of the job's own memory is known to
the keeper alone, which knows whose processes are whose.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from jobs.models import Job, JobMeasure
from jobs.tracking import energy
from jobs.tracking.energy import Reading, Tally
from metrics.live import store as live_store

# The ring's length; what was not added by then is read from the history.
REACHED = timedelta(seconds=120)


def measure(job: Job, now: datetime, *, peak: int | None = None) -> JobMeasure:
    """Add what is new of one job that has started; raises what the database raises."""
    row, _ = JobMeasure.objects.get_or_create(job=job)
    if row.is_closed and peak is None:
        return row
    with transaction.atomic():
        row = JobMeasure.objects.select_for_update().get(job=job)
        if not row.is_closed:
            _add(job, row, now)
        if peak is not None:
            row.peak_memory_bytes = max(peak, row.peak_memory_bytes or 0)
        row.save()
        job.add_metrics(**_figures(row))
    return row


def tally_of(row: JobMeasure) -> Tally:
    last = None if row.until is None else Reading(row.until, row.watts, row.percent)
    return Tally(last, row.joules, row.power_seconds, row.busy, row.percent_seconds)


def _add(job: Job, row: JobMeasure, now: datetime) -> None:
    assert job.started_at is not None
    interval = settings.SAMPLE_SECONDS
    sums = energy.add(tally_of(row), _readings(job), job.started_at, job.completed_at, interval)
    if job.completed_at is not None and _is_past(job.completed_at, now):
        sums = energy.close(sums, job.completed_at, interval)
        row.is_closed = True
    _keep(row, sums)


def _is_past(end: datetime, now: datetime) -> bool:
    """Whether every sample up to `end` has had the time to arrive."""
    settled = timedelta(seconds=energy.REACH_INTERVALS * settings.SAMPLE_SECONDS)
    return now > end + settled


def _readings(job: Job) -> Iterable[Reading]:
    if not job.granted:
        return []
    return [energy.reading(sample, job.granted) for sample in live_store.recent(job.connection_id)]


def _keep(row: JobMeasure, sums: Tally) -> None:
    if sums.last is not None:
        row.until, row.watts, row.percent = sums.last.at, sums.last.watts, sums.last.percent
    row.joules, row.power_seconds = sums.joules, sums.power_seconds
    row.busy, row.percent_seconds = sums.busy, sums.percent_seconds


def _figures(row: JobMeasure) -> Mapping[str, float | None]:
    sums = tally_of(row)
    return {
        "energy_wh": sums.energy_wh,
        "mean_gpu_percent": sums.mean_percent,
        "peak_gpu_memory_bytes": row.peak_memory_bytes,
    }
