"""One caller's requests take turns, so that a hundred of them keep nobody else waiting.

A process answers as many requests as it has processors, and has a few connections to the database.
Of one person, with all their tokens and logins, a few requests are worked on at a time; whoever is
not known yet (`known_callers`) counts by address, also with a credential, since anybody can make
one up. The rest wait as what they are, a request that was read, and hold no thread and no
connection. A turn ends with the first byte of the answer. While a request waits for something
outside (`core/web/waiting.py`), its turn is somebody else's. Handshakes of sockets wait in the same
lines (`taken`).
"""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from core.errors import TooMany
from core.web import known_callers

if TYPE_CHECKING:  # whoever waits imports this, also programs that answer no request
    from core.web.body_limit import App, Message, Receive, Send

AT_ONCE = 2
# Who has more than these waiting is told to come again.
MOST_WAITING = 200
# Behind a proxy that is not trusted, everybody who is not known yet has one address.
AT_ONCE_WITHOUT_LOGIN = 16
# Answered whatever else goes on: the question how the site is.
_FREE_PATHS = frozenset({"/api/health"})

_lines: "dict[str, _Line]" = {}
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


def identified(person: int | None) -> None:
    """Say whose the credential of the current request is, None for nobody's.

    Their next requests wait in the person's line.
    """
    turn = _current.get()
    if turn is not None and turn.credential is not None:
        known_callers.note(turn.credential, person)


class Turns:
    """Around an ASGI application; see the module."""

    def __init__(self, app: "App") -> None:
        self._app = app

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: "Receive", send: "Send"
    ) -> None:
        if scope["type"] != "http" or scope.get("path", "") in _FREE_PATHS:
            return await self._app(scope, receive, send)
        with _in_line(scope) as turn:
            try:
                await self._app(scope, _after_body(receive, turn), _until_answer(send, turn))
            finally:
                turn.end()


@asynccontextmanager
async def taken(scope: MutableMapping[str, Any]) -> AsyncIterator[None]:
    """A turn for the length of the block; `TooMany` when too many wait already."""
    with _in_line(scope) as turn:
        await turn.begin()
        try:
            yield
        finally:
            turn.end()


@contextmanager
def _in_line(scope: MutableMapping[str, Any]) -> "Iterator[_Turn]":
    """The turn of this request, which it does not have yet."""
    credential = known_callers.credential_of(scope)
    caller, at_once = _caller(scope, known_callers.person_of(credential))
    line = _lines.setdefault(caller, _Line(at_once))
    line.requests += 1
    turn = _Turn(line, credential)
    token = _current.set(turn)
    try:
        yield turn
    finally:
        _current.reset(token)
        line.requests -= 1
        if not line.requests:
            del _lines[caller]


def _caller(scope: MutableMapping[str, Any], person: int | None) -> tuple[str, int]:
    if person is not None:
        return f"person {person}", AT_ONCE
    client = scope.get("client")
    return f"address {client[0] if client else ''}", AT_ONCE_WITHOUT_LOGIN


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

    def __init__(self, line: _Line, credential: bytes | None) -> None:
        self.credential = credential
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
