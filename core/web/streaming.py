"""Answers that go out piece by piece, for as long as their reader takes.

While one is sent, its request holds no connection to the database (`ConnectionsGivenBack`), and
what its body reads there is given back after each piece (`in_thread`). What an answer owns – its
place, a log-in, a file – is closed when it was sent, when its body raises, when the reader goes,
and when nobody has begun to read: Django's ASGI handler closes an answer in the first case alone,
so `Closing` stands around it. Who stops reading is cut off by `dgxsite/http/protocol.py`.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, ParamSpec, Protocol, TypeVar

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from core.web import waiting
from core.web.body_limit import App, Receive, Send
from core.web.slots import Places

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# Of all kinds together; a browser asks one host for six files at once.
DOWNLOADS = Places("downloads", in_all=32, per_person=6)
LINES = 1000
# Each may wait for a machine in one thread while another ends the log-in. The event loop's own
# threads are few, and others need them.
_threads = ThreadPoolExecutor(2 * DOWNLOADS.in_all, thread_name_prefix="download")


class Owned(Protocol):
    """A place, an `ExitStack`, whatever has an end."""

    def close(self) -> None: ...


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns, run where it may wait and ask the database."""
    call = partial(contextvars.copy_context().run, _alone, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _alone(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        waiting.give_back()


async def of_lines(lines: Iterator[str]) -> AsyncGenerator[bytes]:
    """Many lines at a time; `lines` may ask the database, but keeps no query open in between."""
    while piece := await in_thread("".join, islice(lines, LINES)):
        yield piece.encode("utf-8", "replace")


class Body:
    """What a streamed answer iterates over, with what it owns."""

    def __init__(self, pieces: AsyncGenerator[bytes], owned: Owned) -> None:
        self._pieces = pieces
        self._owned: Owned | None = owned

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except BaseException:  # its end, a failure, and a reader that has gone
            await self.finish()
            raise

    async def finish(self) -> None:
        """Close the pieces and what is owned; does nothing the second time."""
        try:
            await self._pieces.aclose()
        finally:
            await in_thread(self.close)

    def close(self) -> None:
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.close()


def answer(
    pieces: AsyncGenerator[bytes], owned: Owned, *, content_type: str, disposition: str
) -> StreamingHttpResponse:
    """`pieces` as an attachment; all of `owned` is closed with it, whatever happens.

    An asynchronous generator, because Django reads a plain one to its end before it sends a byte.
    """
    body = Body(pieces, owned)
    if (bodies := _of_request.get()) is not None:
        bodies.add(body)
    response = StreamingHttpResponse(body, content_type=content_type)
    response.headers["Content-Disposition"] = disposition
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    response.headers["X-Accel-Buffering"] = "no"
    return response


class ConnectionsGivenBack:
    """The outermost of the middleware: what is left to do after it is to send the answer.

    Runs in the request's own thread, whose connection nobody else could give back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self._get_response(request)
        finally:  # also when the browser has gone, which cancels what is inside
            waiting.give_back()


class Closing:
    """Around Django's ASGI application: whatever way a request ends, its answer is closed."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        bodies = _Bodies()
        token = _of_request.set(bodies)
        try:
            await self._app(scope, receive, send)
        finally:
            _of_request.reset(token)
            await bodies.finish()


class _Bodies:
    """What one request has made; a view may still do so when the request is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Body] | None = []

    def add(self, body: Body) -> None:
        with self._lock:
            if self._open is not None:
                self._open.append(body)
                return
        body.close()

    async def finish(self) -> None:
        with self._lock:
            found, self._open = self._open or [], None
        for body in found:
            try:
                await body.finish()
            except Exception:
                logger.exception("an answer could not be closed")


# Django copies the context into the thread of the view.
_of_request: contextvars.ContextVar[_Bodies | None] = contextvars.ContextVar(
    "dgxsite_streamed_bodies", default=None
)
