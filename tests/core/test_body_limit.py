"""Bodies without end, in bytes or in time."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import orjson
import pytest

from core.web import body_limit
from core.web.body_limit import BodyLimit, Receive, Send


async def echo(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Reads the whole body first, as Django does, and answers with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


async def call(chunks: AsyncIterator[bytes], **limits: Any) -> tuple[int, bytes]:
    """Status and body of the answer to a request that arrives in `chunks`."""
    sent: list[Any] = []

    async def receive() -> Any:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await BodyLimit(echo, **limits)({"type": "http"}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def some(count: int, size: int = 10) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def never() -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b""


async def test_what_is_within_the_limit_passes() -> None:
    assert await call(some(10), limit=100) == (200, b"100")


async def test_one_byte_more_is_too_large() -> None:
    status, body = await call(some(101, 1), limit=100)
    assert (status, orjson.loads(body)["code"]) == (413, "too_large")


async def test_a_body_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "THROWN_AWAY_BYTES", 10_000)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    assert (await call(endless(), limit=100))[0] == 413


async def test_a_body_that_never_comes_is_too_slow() -> None:
    status, body = await call(never(), seconds=0.05)
    assert (status, orjson.loads(body)["code"]) == (408, "request_timeout")


async def test_waiting_for_the_client_to_leave_has_no_deadline() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        told.append(await receive())

    async def receive() -> Any:
        if not told and receive.__dict__.setdefault("calls", []):
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}
        receive.__dict__["calls"].append(1)
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        raise AssertionError

    await BodyLimit(app, seconds=0.02)({"type": "http"}, receive, send)
    assert told == [{"type": "http.disconnect"}]


async def test_sockets_are_left_alone() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([receive, send])

    await BodyLimit(app)({"type": "websocket"}, "receive", "send")  # type: ignore[arg-type]
    assert seen == ["receive", "send"]
