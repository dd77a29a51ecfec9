"""A job's curves kept up with its log: read on from where they end, a bounded piece at a time.

A worker does so while the job runs, whoever asks does the rest; the reading itself is done by a
process of its own (`jobs/tracking/curve_reader.py`). Both may do it at once: who is second stores
nothing.
"""

import logging
from datetime import timedelta

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.background import isolation
from jobs.log import store as log_store
from jobs.models import ACTIVE, Job, JobScalars, LogChunk
from jobs.results.curve_process import Busy, Piece, TooCostly, reader

logger = logging.getLogger(__name__)

# A second's work, if every line has figures.
AT_ONCE_BYTES = 4 * 2**20
_PIECE_BYTES = 2**19
# Of one piece; the reader takes a header of a megabyte.
_MOST_TIMES = 10_000
_MOST_JOBS = 50
# Later the rest of a log is read when somebody asks.
_STILL_OF_INTEREST = timedelta(hours=1)


def catch_up(job: Job, most: int = AT_ONCE_BYTES) -> JobScalars:
    """Read at most about so many bytes on; the curves as they are then."""
    row, _ = JobScalars.objects.get_or_create(job=job)
    job.refresh_from_db(fields=["log_bytes", "log_complete"])
    begun, goes_on = row.offset, True
    while goes_on and row.offset < min(job.log_bytes, begun + most):
        goes_on = _read_piece(job, row)
    return row


def catch_up_all() -> int:
    """Those of the jobs that run or have just ended, in turn; how many were read on.

    Whose turn was longest ago comes first. It is over before its reading begins, so that one whose
    curves cannot be read takes nobody else's.
    """
    recent = Q(status__in=ACTIVE) | Q(completed_at__gt=timezone.now() - _STILL_OF_INTEREST)
    rows = Job.objects.annotate(read=Coalesce("scalars__offset", 0))
    rows = rows.filter(recent, log_bytes__gt=F("read"))
    in_turn = rows.order_by(F("scalars__read_at").asc(nulls_first=True), "pk")
    jobs = list(in_turn[:_MOST_JOBS])
    isolation.each(jobs, _take_turn, name="reading on the curves of")
    return len(jobs)


def _take_turn(job: Job) -> None:
    JobScalars.objects.get_or_create(job=job)
    JobScalars.objects.filter(job=job).update(read_at=timezone.now())
    catch_up(job)


def _read_piece(job: Job, row: JobScalars) -> bool:
    """Take in what follows `row.offset`; whether there may be more for this turn."""
    data = log_store.read(job, row.offset, _PIECE_BYTES)
    if not data and not job.log_complete:
        return False  # a crash of the database took the newest piece; it comes again
    if not data:  # no longer kept
        return _advance(row, job.log_bytes - row.offset, bytes(row.data))
    is_end = job.log_complete and row.offset + len(data) >= job.log_bytes
    piece = Piece(bytes(row.data), data, row.offset, _times(job, row.offset), is_end)
    try:
        answer = reader.read(piece)
    except Busy:
        return False
    except TooCostly:
        _skip(job, row, len(data))
        return False
    if answer.read and _advance(row, answer.read, answer.curves):
        job.add_metrics(scalars=answer.last, progress_percent=answer.percent)
        return True
    return False


def _skip(job: Job, row: JobScalars, count: int) -> None:
    """Go on behind a piece that took too long; said once with the curves."""
    logger.warning("job=%s: %d bytes from %d on are in no curve", job.pk, count, row.offset)
    curves = row.curves
    curves.skipped += count
    if _advance(row, count, curves.dump()):
        job.add_metrics(scalars_note=curves.note)


def _advance(row: JobScalars, count: int, data: bytes) -> bool:
    """Store the curves as they are `count` bytes further, unless somebody else was faster."""
    rows = JobScalars.objects.filter(pk=row.pk, offset=row.offset)
    if rows.update(offset=row.offset + count, data=data):
        row.offset, row.data = row.offset + count, data
        return True
    row.refresh_from_db()
    return False


def _times(job: Job, offset: int) -> list[list[int]]:
    """When the bytes of a piece came: where each lot begins, and its time, in order."""
    chunks = LogChunk.objects.filter(
        job=job, offset__lt=offset + _PIECE_BYTES, offset__gt=offset - log_store.CHUNK_BYTES
    )
    pairs = [pair for chunk in chunks.order_by("offset").only("times") for pair in chunk.times]
    first = max((n for n, pair in enumerate(pairs) if pair[0] <= offset), default=0)
    pairs = [pair for pair in pairs[first:] if pair[0] < offset + _PIECE_BYTES]
    # Dots that come one by one have more times than anybody can draw.
    return pairs[:: 1 + len(pairs) // _MOST_TIMES]
