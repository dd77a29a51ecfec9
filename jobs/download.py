"""A job's log as a file: read piece by piece, so that memory stays flat and no query stays open."""

from collections.abc import AsyncGenerator

from channels.db import database_sync_to_async
from django.http import StreamingHttpResponse

from jobs import logs
from jobs.models import Job

PIECE_BYTES = 512 * 1024


def response(job: Job) -> StreamingHttpResponse:
    """The bytes as they were copied so far."""
    answer = StreamingHttpResponse(pieces(job), content_type="application/octet-stream")
    name = f"{plain_name(job)}-{job.pk}.log"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


async def pieces(job: Job) -> AsyncGenerator[bytes]:
    """Django would read a plain iterator to its end before it sends the first piece."""
    read = database_sync_to_async(logs.read, thread_sensitive=False)
    offset = 0
    while offset < job.log_bytes and (piece := await read(job, offset, PIECE_BYTES)):
        yield piece[: job.log_bytes - offset]
        offset += len(piece)


def plain_name(job: Job) -> str:
    """The job's name as part of a file's: ASCII without blanks, never empty."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in job.name)
    return kept.strip("-.") or "job"
