"""A request's body is bounded before Django sees it, in bytes and in time.

Django's ASGI handler stores a whole body on disk before any view runs, whatever its length, and
waits for ever for one that never ends. Here a body that grows past the limit is read on and thrown
away for a while, so that an honest client gets the answer 413 and no broken connection; one that
is not there after the deadline gets 408. Only requests are touched, no sockets.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from core import problems, strict_json
from core.errors import SiteError, TooLarge, TooMany
from core.web.middleware import guard

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# JSON may have 1 MiB; an upload form has a few kilobytes around the same.
LIMIT_BYTES = strict_json.LIMIT_BYTES + 64 * 1024
THROWN_AWAY_BYTES = 64 * 1024 * 1024
DEADLINE_SECONDS = 30.0


class TooSlow(SiteError):
    status, code, title = 408, "request_timeout", "The request did not arrive in time"


class BodyLimit:
    """Around an ASGI application; see the module."""

    def __init__(
        self, app: App, *, limit: int = LIMIT_BYTES, seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._app, self._limit, self._seconds = app, limit, seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = _Body(receive, self._limit, self._seconds)
        try:
            await self._app(scope, body.receive, send)
        except (TooLarge, TooSlow, TooMany) as error:
            # Django reads the body before it answers, so nothing has been sent yet.
            await _answer(error, send)


class _Body:
    """One request's messages, counted until the body is complete."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive, self._limit = receive, limit
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._length, self._complete = 0, False

    async def receive(self) -> Message:
        if self._complete:  # what follows is only the news that the client has gone
            return await self._receive()
        message = await self._next()
        if self._length > self._limit:
            while message.get("more_body", False) and self._length < THROWN_AWAY_BYTES:
                message = await self._next()
            raise TooLarge(f"A body has {strict_json.LIMIT_BYTES} bytes at most.")
        return message

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlow("The body did not arrive within 30 s.") from error
        self._length += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message


async def _answer(error: SiteError, send: Send) -> None:
    answer = problems.response(error)
    guard(answer)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
    start = {"type": "http.response.start", "status": error.status}
    await send(start | {"headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": answer.content})
