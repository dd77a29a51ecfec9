"""A run as one zip: report, configuration, origin, tables and the log, made while it is sent.

Memory stays flat: the log and the history pass through piece by piece. Each bundle holds one of a
few places until its reader has it or is gone. A database that fails on the way ends the file
without its directory, so that no reader takes it for a whole one.
"""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from channels.db import database_sync_to_async
from django.http import StreamingHttpResponse

from dgxsite.errors import TooMany
from jobs import bundle_tables, bundle_text, download, run_report
from jobs.models import Job
from jobs.representation import origin_dict
from jobs.zipping import Archive

Pieces = AsyncGenerator[bytes]

# Each reads the database for as long as its reader takes.
MOST_AT_ONCE = 8

_places = threading.BoundedSemaphore(MOST_AT_ONCE)


class Bundle:
    """The bytes of one bundle; `close` gives its place free.

    Django does not close an answer that fails on the way, nor one that nobody waits for any more
    when it is made: those give it free when they are forgotten.
    """

    _place: threading.BoundedSemaphore | None = None

    def __init__(self, job: Job) -> None:
        if not _places.acquire(blocking=False):
            raise TooMany("Too many bundles are being downloaded at this moment; try again soon.")
        self._place = _places
        self._body = _zipped(job)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    def close(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.release()

    def __del__(self) -> None:
        self.close()


def response(job: Job) -> StreamingHttpResponse:
    """The zip as an answer; `TooMany` when all places are taken."""
    answer = StreamingHttpResponse(Bundle(job), content_type="application/zip")
    name = f"{download.plain_name(job)}-{str(job.pk)[:8]}.zip"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


async def _zipped(job: Job) -> Pieces:
    archive = Archive()
    for name, make in _FILES:
        archive.begin(name)
        async with aclosing(make(job)) as pieces:
            async for piece in pieces:
                if added := await asyncio.to_thread(archive.add, piece):
                    yield added
    yield archive.end()


def _json(make: Callable[[Job], Any]) -> Callable[[Job], Pieces]:
    """A file of what `make` answers, which may ask the database."""

    async def pieces(job: Job) -> Pieces:
        found = await database_sync_to_async(make, thread_sensitive=False)(job)
        yield json.dumps(found, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    return pieces


async def _readme(job: Job) -> Pieces:
    yield bundle_text.readme(job).encode()


_FILES: Sequence[tuple[str, Callable[[Job], Pieces]]] = (
    ("README.txt", _readme),
    ("report.json", _json(run_report.as_report)),
    ("config.json", _json(run_report.config)),
    ("origin.json", _json(origin_dict)),
    ("metrics.parquet", bundle_tables.of_history),
    ("scalars.parquet", bundle_tables.of_scalars),
    ("log.txt", download.pieces),
)
