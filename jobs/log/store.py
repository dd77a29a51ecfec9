"""A job's log in PostgreSQL: pieces by byte offset, compressed, each byte once.

The machine's file is the truth; ours is a prefix of it that grows. `append` moves the job's
`log_bytes` on from the offset that its caller has read: who was not first appends nothing. Offsets
are those of the machine's file; secrets are masked byte by byte before they come here.

**The newest piece is cheap.** A job that prints a line a second would otherwise have its last piece
written to the database's journal (WAL) again with every line. So that piece grows where nothing is
journalled (`LogChunk.is_fresh`) until it is large enough, or the job ends, and is then written once
for good. A crash of the database empties that place; `step_back` sees it, and the machine is read
again from where ours ends.

**There is an end.** What goes beyond `JOB_LOG_LIMIT_BYTES` is not kept, whatever the machine sends;
the log's last line says so.
"""

import zlib
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F

from core.formats import size
from jobs.models import Job, LogChunk

# From this size on, or this many times at which bytes came, a piece no longer grows.
GROWN_BYTES = 32 * 1024
GROWN_TIMES = 600
# The smallest number of bytes after which there may be another piece, and the most that one holds.
GROWING_BYTES = GROWN_BYTES
CHUNK_BYTES = 256 * 1024
DEFAULT_LIMIT = 64 * 1024
LARGEST_LIMIT = 1024 * 1024
_LEVEL = 5

Times = list[list[int]]


class Overtaken(Exception):
    """Somebody else has appended from this offset on, or what lies before it is gone."""


@transaction.atomic
def append(job: Job, data: bytes, at: datetime) -> bytes:
    """Add what follows `job.log_bytes`, received at `at`; what of it was kept.

    Raises `Overtaken`.
    """
    data = _within_limit(job, data)
    if not data:
        return data
    moved = Job.objects.filter(pk=job.pk, log_bytes=job.log_bytes).update(
        log_bytes=F("log_bytes") + len(data), log_lines=F("log_lines") + data.count(b"\n")
    )
    last = _last(job)
    if not moved or _end(last) != job.log_bytes:
        raise Overtaken(str(job.pk))
    stamp = [job.log_bytes, int(at.timestamp() * 1000)]
    if last is not None and last.is_fresh:
        _put(last, zlib.decompress(last.data) + data, [*last.times, stamp])
    else:
        new = LogChunk(job=job, offset=job.log_bytes, first_line=job.log_lines)
        _put(new, data, [stamp])
    job.log_bytes += len(data)
    job.log_lines += data.count(b"\n")
    return data


def seal(job: Job) -> None:
    """The log goes on no more, or nobody knows when: write its last piece for good."""
    LogChunk.objects.filter(job=job, is_fresh=True).update(is_fresh=False)


def step_back(job: Job) -> bool:
    """Whether the database has lost what was newest; `log_bytes` is then where ours ends again."""
    last = _last(job)
    end = _end(last)
    if end == job.log_bytes:
        return False
    lines = last.first_line + last.lines if last is not None else 0
    Job.objects.filter(pk=job.pk, log_bytes=job.log_bytes).update(log_bytes=end, log_lines=lines)
    return True


def is_full(job: Job) -> bool:
    """Whether nothing more is kept."""
    return job.log_bytes >= settings.JOB_LOG_LIMIT_BYTES


def awaited(job: Job, log_size: int) -> int:
    """How much of the machine's file, which has `log_size` bytes, is still to be kept."""
    return min(log_size, settings.JOB_LOG_LIMIT_BYTES) - job.log_bytes


def _within_limit(job: Job, data: bytes) -> bytes:
    room = settings.JOB_LOG_LIMIT_BYTES - job.log_bytes
    if room <= 0:
        return b""
    return data if len(data) < room else data[:room] + _last_words()


def _last_words() -> bytes:
    limit = size(settings.JOB_LOG_LIMIT_BYTES).replace("\N{NO-BREAK SPACE}", " ")
    return f"\n[dgxsite: a log is kept up to {limit}; what follows is not.]\n".encode()


def _last(job: Job) -> LogChunk | None:
    return LogChunk.objects.filter(job=job).order_by("-offset").first()


def _end(last: LogChunk | None) -> int:
    return last.offset + last.length if last is not None else 0


def _put(chunk: LogChunk, data: bytes, times: Times) -> None:
    """Store `data` as this piece and as many after it as it takes."""
    part, rest = data[:CHUNK_BYTES], data[CHUNK_BYTES:]
    end = chunk.offset + len(part)
    chunk.length, chunk.lines = len(part), part.count(b"\n")
    chunk.times = [time for time in times if time[0] < end]
    chunk.is_fresh = len(part) < GROWN_BYTES and len(times) < GROWN_TIMES
    chunk.data = zlib.compress(part, _LEVEL)
    chunk.save()
    if rest:
        _put(_next(chunk), rest, _times_from(times, end))


def _next(chunk: LogChunk) -> LogChunk:
    first_line = chunk.first_line + chunk.lines
    return LogChunk(job_id=chunk.job_id, offset=chunk.offset + chunk.length, first_line=first_line)


def _times_from(times: Times, offset: int) -> Times:
    """The times of what lies behind `offset`; the first of them is its own."""
    before = [time for time in times if time[0] <= offset]
    return [[offset, before[-1][1]], *(time for time in times if time[0] > offset)]


def read(job: Job, offset: int, limit: int) -> bytes:
    """At most `limit` bytes from `offset` on, as far as they were copied and are still kept."""
    end = offset + limit
    chunks = LogChunk.objects.filter(job=job, offset__lt=end, offset__gt=offset - CHUNK_BYTES)
    pieces = []
    for chunk in chunks.order_by("offset"):
        text = zlib.decompress(chunk.data)
        pieces.append(text[max(0, offset - chunk.offset) : max(0, end - chunk.offset)])
    return b"".join(pieces)


def whole_characters(data: bytes) -> bytes:
    """Without the beginning of a UTF-8 character at the end, whose rest has yet to come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # not a continuation: a character begins here
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if length > back else data
    return data


def every_piece(job: Job) -> Iterator[bytes]:
    """The whole log, piece by piece."""
    for chunk in LogChunk.objects.filter(job=job).order_by("offset").iterator(chunk_size=4):
        yield zlib.decompress(chunk.data)
