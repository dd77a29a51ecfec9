"""A job's log as a file: read piece by piece, so that memory stays flat and no query stays open."""

from collections.abc import AsyncGenerator

from django.http import StreamingHttpResponse

from core.web import streaming
from jobs.log import store
from jobs.models import Job

PIECE_BYTES = 512 * 1024


def response(job: Job, person: int) -> StreamingHttpResponse:
    """The bytes as they were copied so far; `TooMany` when `person` has enough downloads."""
    place = streaming.DOWNLOADS.take(person)
    return streaming.answer(
        pieces(job),
        place,
        content_type="application/octet-stream",
        disposition=f'attachment; filename="{plain_name(job)}-{job.pk}.log"',
    )


async def pieces(job: Job) -> AsyncGenerator[bytes]:
    """What is there when it begins, from the first byte on."""
    offset = 0
    while offset < job.log_bytes:
        piece = await streaming.in_thread(store.read, job, offset, PIECE_BYTES)
        if not piece:
            return
        yield piece[: job.log_bytes - offset]
        offset += len(piece)


def plain_name(job: Job) -> str:
    """The job's name as part of a file's: ASCII without blanks, never empty."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in job.name)
    return kept.strip("-.") or "job"
