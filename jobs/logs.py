"""A job's log in PostgreSQL: pieces by byte offset, compressed, each byte once.

The machine's file is the truth; ours is a prefix of it that grows. `append` moves the job's
`log_bytes` on from the offset that its caller has read: who was not first appends nothing. Offsets
are those of the machine's file; secrets are masked byte by byte before they come here.
"""

import zlib
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import F

from jobs.models import Job, LogChunk

# A last piece below this grows by what comes; a new one holds at most the other.
GROWING_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
DEFAULT_LIMIT = 64 * 1024
LARGEST_LIMIT = 1024 * 1024
_LEVEL = 5


class Overtaken(Exception):
    """Somebody else has appended from this offset on."""


@transaction.atomic
def append(job: Job, data: bytes, at: datetime) -> None:
    """Add what follows `job.log_bytes`, received at `at`; raises `Overtaken`."""
    if not data:
        return
    lines = data.count(b"\n")
    moved = Job.objects.filter(pk=job.pk, log_bytes=job.log_bytes).update(
        log_bytes=F("log_bytes") + len(data), log_lines=F("log_lines") + lines
    )
    if not moved:
        raise Overtaken(str(job.pk))
    stamp = int(at.timestamp() * 1000)
    rest = _grow(job, data, stamp)
    _add(job, data[rest:], stamp, rest, job.log_lines + data[:rest].count(b"\n"))
    job.log_bytes += len(data)
    job.log_lines += lines


def _grow(job: Job, data: bytes, stamp: int) -> int:
    """Put the beginning of `data` into the last piece, if that is small; how many bytes."""
    last = LogChunk.objects.filter(job=job).order_by("-offset").first()
    if last is None or last.length >= GROWING_BYTES:
        return 0
    part = data[: CHUNK_BYTES - last.length]
    last.data = zlib.compress(zlib.decompress(last.data) + part, _LEVEL)
    last.times = [*last.times, [job.log_bytes, stamp]]
    last.length += len(part)
    last.lines += part.count(b"\n")
    last.save(update_fields=["data", "times", "length", "lines"])
    return len(part)


def _add(job: Job, data: bytes, stamp: int, skipped: int, first_line: int) -> None:
    for start in range(0, len(data), CHUNK_BYTES):
        part = data[start : start + CHUNK_BYTES]
        offset = job.log_bytes + skipped + start
        LogChunk.objects.create(
            job=job,
            offset=offset,
            length=len(part),
            first_line=first_line,
            lines=part.count(b"\n"),
            times=[[offset, stamp]],
            data=zlib.compress(part, _LEVEL),
        )
        first_line += part.count(b"\n")


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
