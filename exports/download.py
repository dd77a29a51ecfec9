"""Files as answers to requests: streamed in flat memory, ended with their reader."""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

from django.http import StreamingHttpResponse
from psycopg import sql

from dgxsite.errors import TooMany
from exports import formats
from exports.models import Export
from exports.plan import CONTENT_TYPES, Plan
from exports.storage import PIECE_BYTES

# Each holds a connection to the database for as long as its reader takes.
MOST_AT_ONCE = 8

_places = threading.BoundedSemaphore(MOST_AT_ONCE)


class Download:
    """The bytes of one file; `close`, which Django calls in any case, gives its place free."""

    def __init__(self, plan: Plan, rows: sql.Composed) -> None:
        if not _places.acquire(blocking=False):
            raise TooMany("Too many exports are being downloaded at this moment; try again soon.")
        self._body = formats.body(plan, rows)
        self._holds_place = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    def close(self) -> None:
        if self._holds_place:
            self._holds_place = False
            _places.release()


def response(plan: Plan, rows: sql.Composed) -> StreamingHttpResponse:
    """A range as it comes out of the database; `TooMany` when all places are taken."""
    answer = _attachment(Download(plan, rows), plan.filename, plan.format)
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def stored(export: Export) -> StreamingHttpResponse:
    """The site's copy of a file, under the name that it was made with."""
    answer = _attachment(_read(export.path), export.filename, export.format)
    answer.headers["Content-Length"] = str(export.path.stat().st_size)
    return answer


def _attachment(body: AsyncIterable[bytes], filename: str, format_: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(body, content_type=CONTENT_TYPES[format_])
    answer.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return answer


async def _read(path: Path) -> AsyncIterator[bytes]:
    """Django would read a plain file to its end before it sends the first piece."""
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
