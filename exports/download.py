"""A range export as the answer to a request: streamed, a few at a time, ended with its reader."""

import threading
from collections.abc import AsyncIterator

from django.http import StreamingHttpResponse
from psycopg import sql

from dgxsite.errors import TooMany
from exports import formats
from exports.plan import CONTENT_TYPES, Plan

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
    """The streamed answer; `TooMany` when all places are taken."""
    answer = StreamingHttpResponse(Download(plan, rows), content_type=CONTENT_TYPES[plan.format])
    answer.headers["Content-Disposition"] = f'attachment; filename="{plan.filename}"'
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer
