"""A streamed answer lets go of what it owns, whatever way it ends, and holds no connection."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import Any, cast

import pytest
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import override_settings
from django.urls import path

from core.web import streaming
from core.web.body_limit import App
from core.web.streaming import Closing
from dgxsite.http.handler import OneThread

# Django leaves the file with a request's body to the garbage collector when an answer breaks off.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# What the views below have opened, and how many of them are still open.
OPENED: list["Thing"] = []


class Thing:
    """Something that an answer owns."""

    def __init__(self) -> None:
        self.closed = 0
        OPENED.append(self)

    def close(self) -> None:
        self.closed += 1


async def three() -> AsyncGenerator[bytes]:
    for number in range(3):
        yield b"%d" % number


async def broken() -> AsyncGenerator[bytes]:
    yield b"a part"
    raise OSError("the link broke")


async def endless() -> AsyncGenerator[bytes]:
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0)


def view_of(pieces: Any) -> Any:
    def view(request: HttpRequest) -> HttpResponseBase:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return streaming.answer(pieces(), Thing(), content_type="text/plain", disposition="inline")

    return view


def lost(request: HttpRequest) -> HttpResponseBase:
    """Makes an answer and then fails."""
    view_of(three)(request)
    raise ValueError("after the answer was made")


urlpatterns = [
    path("three", view_of(three)),
    path("broken", view_of(broken)),
    path("endless", view_of(endless)),
    path("lost", lost),
]


@pytest.fixture(autouse=True)
def _views(transactional_db: None) -> Iterator[None]:
    OPENED.clear()
    middleware = ["core.web.streaming.ConnectionsGivenBack"]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        yield
    OPENED.clear()


class Browser:
    """One request to Django's own handler, as a server passes it on."""

    def __init__(self, address: str, *, leaves_after: int = 1_000_000) -> None:
        self.sent: list[Any] = []
        self._address, self._left = address, leaves_after
        self._asked = False
        self._has_left, self.has_read = asyncio.Event(), asyncio.Event()

    async def visit(self) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/{self._address}",
            "query_string": b"",
            "headers": [(b"host", b"testserver")],
        }
        await Closing(cast("App", OneThread()))(scope, self._receive, self._send)

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            if self._left == 0:
                self._has_left.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        if len(self.sent) >= 20:
            self.has_read.set()
        if len(self.sent) >= self._left:
            self._has_left.set()
            await asyncio.sleep(0)


def closed() -> list[int]:
    return [thing.closed for thing in OPENED]


async def test_an_answer_that_was_sent_is_closed() -> None:
    browser = Browser("three")
    await browser.visit()
    assert [message.get("body") for message in browser.sent[1:]] == [b"0", b"1", b"2", None]
    assert closed() == [1]


async def test_an_answer_that_breaks_off_is_closed() -> None:
    with pytest.raises(OSError, match="broke"):
        await Browser("broken").visit()
    assert closed() == [1]


async def test_an_answer_whose_reader_goes_is_closed() -> None:
    browser = Browser("endless", leaves_after=20)
    await browser.visit()
    assert len(browser.sent) >= 20
    assert closed() == [1]


async def test_an_answer_that_nobody_waits_for_is_closed() -> None:
    browser = Browser("three", leaves_after=0)
    await browser.visit()
    assert closed() == [1] * len(OPENED)


async def test_an_answer_of_a_view_that_then_fails_is_closed() -> None:
    with suppress(ValueError):
        await Browser("lost").visit()
    assert closed() == [1]


async def test_a_cancelled_request_closes_its_answer() -> None:
    browser = Browser("endless")
    task = asyncio.create_task(browser.visit())
    await browser.has_read.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert closed() == [1]


async def test_what_reads_the_database_for_a_body_gives_its_connection_back() -> None:
    def read() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return connection

    used: Any = await streaming.in_thread(read)
    assert used.connection is None


async def test_lines_go_out_many_at_a_time() -> None:
    lines = (f"{number}\n" for number in range(2 * streaming.LINES + 1))
    pieces = [piece async for piece in streaming.of_lines(lines)]
    assert len(pieces) == 3
    assert b"".join(pieces).splitlines()[-1] == b"2000"
