"""A run as one zip: report, configuration, origin, tables and the log, made while it is sent.

Memory stays flat: the log and the history pass through piece by piece. Each bundle holds a place
among the downloads and one among the copies of the history, until its reader has it or is gone. A
database that fails on the way ends the file without its directory, so that no reader takes it for a
whole one.
"""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from django.http import StreamingHttpResponse

from core.web import streaming
from exports import copying
from jobs.log import download as log_download
from jobs.models import Job
from jobs.report import data, readme, tables
from jobs.report.zip_stream import Archive
from jobs.serializers import origin_dict

Pieces = AsyncGenerator[bytes]


def response(job: Job, person: int) -> StreamingHttpResponse:
    """The zip as an answer; `TooMany` when `person`, or everybody together, has enough."""
    places = copying.places(person)
    return streaming.answer(
        _zipped(job),
        places,
        content_type="application/zip",
        disposition=f'attachment; filename="{log_download.plain_name(job)}-{str(job.pk)[:8]}.zip"',
    )


async def _zipped(job: Job) -> Pieces:
    archive = Archive()
    for name, make in _FILES:
        archive.begin(name)
        async with aclosing(make(job)) as pieces:
            async for piece in pieces:
                if added := await streaming.in_thread(archive.add, piece):
                    yield added
    yield archive.end()


def _json(make: Callable[[Job], Any]) -> Callable[[Job], Pieces]:
    """A file of what `make` answers, which may ask the database."""

    async def pieces(job: Job) -> Pieces:
        found = await streaming.in_thread(make, job)
        yield json.dumps(found, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    return pieces


async def _readme(job: Job) -> Pieces:
    yield readme.readme(job).encode()


_FILES: Sequence[tuple[str, Callable[[Job], Pieces]]] = (
    ("README.txt", _readme),
    ("report.json", _json(data.as_report)),
    ("config.json", _json(data.config)),
    ("origin.json", _json(origin_dict)),
    ("metrics.parquet", tables.of_history),
    ("scalars.parquet", tables.of_scalars),
    ("log.txt", log_download.pieces),
)
