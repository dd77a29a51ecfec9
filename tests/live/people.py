"""Sockets and people for the tests of the live pushes.

The client speaks ASGI through asgiref's communicator; the one of Channels is the same with shorter
words, but importing it needs a web server that is not among our dependencies.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

import orjson
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User
from dgxsite.asgi import application

PAGE = b"http://testserver"


def log_in(user: User) -> str:
    """The key of a fresh session."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    assert session.session_key is not None
    return session.session_key


def with_token(secret: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"testserver"), (b"authorization", f"Bearer {secret}".encode())]


def with_session(key: str, origin: bytes | None = PAGE) -> list[tuple[bytes, bytes]]:
    cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()
    headers = [(b"host", b"testserver"), (b"cookie", cookie)]
    return headers if origin is None else [*headers, (b"origin", origin)]


class Client:
    """One socket of a person, through the whole ASGI application."""

    def __init__(
        self, headers: list[tuple[bytes, bytes]], path: str = "/ws/live/", peer: str = "127.0.0.1"
    ) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
            "client": (peer, 50_000),
        }
        self._application = ApplicationCommunicator(application, scope)

    async def open(self) -> str:
        """Shake hands; the type of the answer."""
        await self._application.send_input({"type": "websocket.connect"})
        return str((await self._application.receive_output(timeout=5))["type"])

    async def __aenter__(self) -> Self:
        assert await self.open() == "websocket.accept"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._application.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._application.wait(timeout=5)

    async def say(self, frame: Any) -> None:
        await self.say_raw(orjson.dumps(frame).decode())

    async def say_raw(self, text: str | None = None, data: bytes | None = None) -> None:
        message = {"type": "websocket.receive", "text": text, "bytes": data}
        await self._application.send_input(message)

    async def subscribe(self, *topics: str) -> None:
        await self.say({"action": "subscribe", "topics": list(topics)})

    async def hear(self, seconds: float = 5.0) -> dict[str, Any]:
        output = await self._application.receive_output(timeout=seconds)
        assert output["type"] == "websocket.send", output
        text = output["text"]
        assert len(text.encode()) <= 65_536
        message: dict[str, Any] = orjson.loads(text)
        return message

    async def hear_until(
        self, found: Callable[[dict[str, Any]], bool], seconds: float = 8.0
    ) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            message = await self.hear(max(0.01, deadline - time.monotonic()))
            if found(message):
                return message

    async def hears_nothing(self, seconds: float = 0.3) -> bool:
        return bool(await self._application.receive_nothing(timeout=seconds))

    async def closed_with(self, seconds: float = 5.0) -> int:
        """The close code; what is sent before is passed over."""
        deadline = time.monotonic() + seconds
        while True:
            remaining = max(0.01, deadline - time.monotonic())
            output = await self._application.receive_output(timeout=remaining)
            if output["type"] == "websocket.close":
                return int(output["code"])


async def in_database(call: Callable[..., Any], *args: Any, **fields: Any) -> Any:
    """Run a factory or a query beside the event loop."""
    return await sync_to_async(call, thread_sensitive=True)(*args, **fields)


async def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
