"""Files as answers to requests: streamed in flat memory, ended with their reader.

What an answer holds meanwhile – places, its connection, a scratch file – is let go of by
`core.web.streaming`, also when the body raises: Django itself does not close such an answer.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

from django.http import StreamingHttpResponse
from psycopg import sql

from connections.files.upload import NotStored
from core.errors import NoRoom
from core.web import streaming
from core.web.waiting import outside_database
from exports import copying, formats
from exports.models import Export
from exports.plan import CONTENT_TYPES, Plan
from exports.storage import PIECE_BYTES


def response(plan: Plan, rows: sql.Composed, person: int) -> StreamingHttpResponse:
    """A range as it comes out of the database.

    `TooMany` when all places are taken, `NoRoom` when the disk does not take the file that SQLite
    needs: that is built before the first byte, for afterwards nothing could be told any more.
    """
    with copying.places(person) as owned:
        body = _built(plan, rows, owned) if plan.format == "sqlite" else formats.body(plan, rows)
        return _attachment(body, owned.pop_all(), plan.filename, plan.format)


def _built(plan: Plan, rows: sql.Composed, owned: ExitStack) -> formats.Body:
    try:
        with outside_database():
            file = owned.enter_context(asyncio.run(formats.built(plan, rows)))
    except NotStored as error:
        raise NoRoom(str(error)) from error
    return formats.of_file(file)


def stored(export: Export, person: int) -> StreamingHttpResponse:
    """The site's copy of a file, under the name that it was made with; `TooMany` as above."""
    size = export.path.stat().st_size
    place = streaming.DOWNLOADS.take(person)
    answer = _attachment(_read(export.path), place, export.filename, export.format)
    answer.headers["Content-Length"] = str(size)
    return answer


def _attachment(
    body: AsyncGenerator[bytes], owned: streaming.Owned, filename: str, format_: str
) -> StreamingHttpResponse:
    return streaming.answer(
        body,
        owned,
        content_type=CONTENT_TYPES[format_],
        disposition=f'attachment; filename="{filename}"',
    )


async def _read(path: Path) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        while piece := await streaming.in_thread(file.read, PIECE_BYTES):
            yield piece
