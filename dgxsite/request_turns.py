"""One caller's requests take turns, so that a hundred of them keep nobody else waiting.

A process answers as many requests as it has processors, and has a few connections to the database.
Of one caller – one token, one login, else one address – a few requests are worked on at a time; the
rest wait as what they are, a request that was read, and hold no thread and no connection. A turn
ends with the first byte of the answer. While a request waits for something outside
(`dgxsite/waiting.py`), its turn is somebody else's.
"""

import asyncio
import contextvars
import hashlib
import threading
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import parse_cookie

from dgxsite.errors import TooMany

if TYPE_CHECKING:  # whoever waits imports this, also programs that answer no request
    from dgxsite.body_limit import App, Message, Receive, Send

AT_ONCE = 3
# Who has more than these waiting is told to come again.
MOST_WAITING = 200
# Behind a proxy that is not trusted, everybody who has not logged in has one address.
AT_ONCE_WITHOUT_LOGIN = 16
# Answered whatever else goes on: files from memory, and the question how the site is.
_FREE = ("/static/",)
_FREE_PATHS = frozenset({"/api/health"})

_current: "contextvars.ContextVar[_Turn | None]" = contextvars.ContextVar("turn", default=None)


@contextmanager
def paused() -> Iterator[None]:
    """Around a wait in a request's thread: meanwhile another request of its caller goes on."""
    turn = _current.get()
    if turn is None:
        yield
        return
    turn.pause()
    try:
        yield
    finally:
        turn.go_on()


class Turns:
    """Around an ASGI application; see the module."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._lines: dict[str, _Line] = {}

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: "Receive", send: "Send"
    ) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_FREE) or path in _FREE_PATHS:
            return await self._app(scope, receive, send)
        caller, at_once = _caller(scope)
        line = self._lines.setdefault(caller, _Line(at_once))
        line.requests += 1
        turn = _Turn(line)
        token = _current.set(turn)
        try:
            await self._app(scope, _after_body(receive, turn), _until_answer(send, turn))
        finally:
            _current.reset(token)
            turn.end()
            line.requests -= 1
            if not line.requests:
                del self._lines[caller]


def _after_body(receive: "Receive", turn: "_Turn") -> "Receive":
    """The request's last message comes when it is its turn: until then nothing was done for it."""

    async def received() -> "Message":
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            await turn.begin()
        return message

    return received


def _until_answer(send: "Send", turn: "_Turn") -> "Send":
    async def sent(message: "Message") -> None:
        turn.end()
        await send(message)

    return sent


def _caller(scope: MutableMapping[str, Any]) -> tuple[str, int]:
    """As the view will see it: the API goes by the header if there is one, all else by the session.

    Whether the credential is worth something is found out later; without one it is an address.
    """
    header = _values(scope, b"authorization") if scope["path"].startswith("/api/") else b""
    secret = header or _session(_values(scope, b"cookie"))
    if secret:
        return hashlib.sha256(secret).hexdigest(), AT_ONCE
    client = scope.get("client")
    return f"address {client[0] if client else ''}", AT_ONCE_WITHOUT_LOGIN


def _values(scope: MutableMapping[str, Any], name: bytes) -> bytes:
    """What all headers of this name say, put together as Django does."""
    between = b"; " if name == b"cookie" else b","
    return between.join(value for key, value in scope["headers"] if key == name)


def _session(cookies: bytes) -> bytes:
    found = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")
    return found.encode("latin-1", "replace")


class _Line:
    """The requests of one caller: how many are worked on, and who waits, in the order of time."""

    def __init__(self, at_once: int) -> None:
        self.requests = 0
        self._at_once = at_once
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()

    async def enter(self) -> None:
        """Returns when it is this request's turn; `TooMany` when too many wait already."""
        with self._lock:
            if self._active < self._at_once:
                self._active += 1
                return
            if len(self._waiting) >= MOST_WAITING:
                raise TooMany("Too many of your requests wait at this moment.", retry_after=5)
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            with self._lock:
                was_called = waiting not in self._waiting
                if not was_called:
                    self._waiting.remove(waiting)
            if was_called:
                self.leave()
            raise

    def enter_again(self) -> None:
        """Go on at once, though there may be one too many for a moment: a thread does not wait."""
        with self._lock:
            self._active += 1

    def leave(self) -> None:
        """From any thread."""
        with self._lock:
            self._active -= 1
            if not self._waiting or self._active >= self._at_once:
                return
            self._active += 1
            called = self._waiting.popleft()
        self._loop.call_soon_threadsafe(_call, called)


def _call(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


class _Turn:
    """One request's; it has none before `begin` and after `end`."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._has_turn = False
        self._pauses = 0

    async def begin(self) -> None:
        await self._line.enter()
        self._has_turn = True

    def end(self) -> None:
        with self._lock:
            had, self._has_turn = self._has_turn and not self._pauses, False
        if had:
            self._line.leave()

    def pause(self) -> None:
        with self._lock:
            self._pauses += 1
            leaves = self._has_turn and self._pauses == 1
        if leaves:
            self._line.leave()

    def go_on(self) -> None:
        with self._lock:
            self._pauses -= 1
            enters = self._has_turn and not self._pauses
        if enters:
            self._line.enter_again()
