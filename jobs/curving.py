"""A job's curves kept up with its log: read on from where they end, a bounded piece at a time.

A worker does so while the job runs, whoever asks does the rest. Both may do it at once: the row is
locked, and who does not get it takes what is there.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.expressions import CombinedExpression, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs import logs
from jobs.kept import JobScalars
from jobs.models import Job, LogChunk
from jobs.states import ACTIVE

# A second's work, if every line has figures.
AT_ONCE_BYTES = 4 * 2**20
_PIECE_BYTES = 2**20
_MOST_JOBS = 50
# Later the rest of a log is read when somebody asks.
_STILL_OF_INTEREST = timedelta(hours=1)


def catch_up(job: Job, most: int = AT_ONCE_BYTES) -> JobScalars:
    """Read at most about so many bytes on; the curves as they are then."""
    JobScalars.objects.get_or_create(job=job)
    with transaction.atomic():
        rows = JobScalars.objects.select_for_update(skip_locked=True)
        row = rows.filter(job=job).first()
        if row is None:
            return JobScalars.objects.get(job=job)
        if _read_on(job, row, most):
            row.save()
            percent = row.curves.progress.percent if row.curves.progress else None
            note(job, scalars=row.curves.last_values(), progress_percent=percent)
    return row


def catch_up_all() -> int:
    """Those of the jobs that run or have just ended; how many were read on."""
    recent = Q(status__in=ACTIVE) | Q(completed_at__gt=timezone.now() - _STILL_OF_INTEREST)
    rows = Job.objects.annotate(read=Coalesce("scalars__offset", 0))
    rows = rows.filter(recent, log_bytes__gt=F("read"))
    jobs = list(rows.order_by("pk")[:_MOST_JOBS])
    for job in jobs:
        catch_up(job)
    return len(jobs)


def note(job: Job, **figures: object) -> None:
    """Put figures into the job's own `metrics`, beside those that are there."""
    merged = CombinedExpression(
        F("metrics"), "||", Value(figures, output_field=Job._meta.get_field("metrics"))
    )
    Job.objects.filter(pk=job.pk).update(metrics=merged)
    job.metrics = {**job.metrics, **figures}


def _read_on(job: Job, row: JobScalars, most: int) -> bool:
    """Take in what follows `row.offset`; whether there was something."""
    job.refresh_from_db(fields=["log_bytes", "log_complete"])
    curves, begun = row.curves, row.offset
    while row.offset < min(job.log_bytes, begun + most):
        data = logs.read(job, row.offset, _PIECE_BYTES)
        is_end = job.log_complete and row.offset + len(data) >= job.log_bytes
        read = curves.read(data, row.offset, _times(job, row.offset), is_end=is_end)
        if not data:  # no longer kept
            read = job.log_bytes - row.offset
        if not read:
            break
        row.offset += read
    row.curves = curves
    return row.offset > begun


def _times(job: Job, offset: int) -> list[list[int]]:
    """When the bytes of a piece came."""
    chunks = LogChunk.objects.filter(
        job=job, offset__lt=offset + _PIECE_BYTES, offset__gt=offset - logs.CHUNK_BYTES
    )
    return [pair for chunk in chunks.order_by("offset").only("times") for pair in chunk.times]
