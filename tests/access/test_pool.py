"""Every view and every task, over the product's pool: afterwards nobody holds a connection."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from celery.app.trace import build_tracer
from celery.fixups.django import DjangoWorkerFixup
from django.core.cache import cache
from psycopg_pool import ConnectionPool

from accounts.policy import methods_of
from core.web import streaming
from dgxsite.asgi import application as site
from dgxsite.celery import app
from exports import copying
from jobs.log import store as log_store
from jobs.models import Job
from notifications.delivery import dispatch
from tests import pooled
from tests.access.addresses import Address, address_of, every_route
from tests.access.bodies import BODIES
from tests.access.cast import Cast, make_cast
from tests.waiting import until

# Fewer than the product has: what is lost is missed sooner.
SIZE = 3
_COOKIE, _TOKEN = "csrftoken", "c" * 32
# What ends the log-in that knocks, or another's on which the rest of the walk depends.
_LAST = ("logout", "password", "users/", "sessions", "tokens", "delete", "reauthenticate")

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(1800),
    # Django leaves the file with a request's body to the garbage collector when one breaks off.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cast(redis_client: redis.Redis) -> Cast:
    cast = make_cast()
    job = Job.objects.get(pk=cast.values["job_id"])
    log_store.append(job, b"a line\n" * 1000, datetime.now(UTC))
    return cast


@pytest.fixture
def pool(cast: Cast) -> Iterator[ConnectionPool]:
    with pooled.pool(SIZE) as pool:
        yield pool


class Visit:
    """One request as a server passes it on; the browser leaves after `messages` of the answer."""

    def __init__(self, scope: dict[str, Any], body: bytes, messages: int | None = None) -> None:
        self.status = 0
        self.size = 0
        self._scope, self._body, self._left = scope, body, messages
        self._asked = False
        self._gone = asyncio.Event()

    async def make(self) -> None:
        if self._left == 0:
            self._gone.set()
        await site(self._scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.size += len(message.get("body", b""))
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._gone.set()
                await asyncio.sleep(0)


def scope_of(cast: Cast, actor: str, method: str, address: Address) -> dict[str, Any]:
    """Pages come with a session and its token against forgery, the API with a bearer's."""
    headers = [(b"host", b"testserver")]
    if address.is_api:
        headers += [
            (b"authorization", cast.api[actor].defaults["HTTP_AUTHORIZATION"].encode()),
            (b"content-type", b"application/json"),
        ]
    else:
        session = cast.pages[actor].cookies["sessionid"].value
        headers += [
            (b"cookie", f"sessionid={session}; {_COOKIE}={_TOKEN}".encode()),
            (b"x-csrftoken", _TOKEN.encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": address.path,
        "raw_path": address.path.encode(),
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
    }


def body_of(cast: Cast, method: str, address: Address) -> bytes:
    found = {
        name: str(cast.values[value[1:-1]])
        if isinstance(value, str) and value[:1] == "<"
        else value
        for name, value in BODIES.get(f"{method} {address.route}", {}).items()
    }
    if address.is_api:
        return json.dumps(found).encode() if method != "GET" else b""
    return urlencode(found).encode() if method == "POST" else b""


def doors(cast: Cast) -> list[tuple[str, Address]]:
    """What reads, then what writes, and at the end what the walk itself needs."""
    found = [
        (method, address_of(route, cast.values))
        for route in every_route()
        for method in methods_of(route) or {}
    ]
    found += [("GET", Address("", f"/{start}no/such/page")) for start in ("", "jobs/", "api/")]
    return sorted(
        found,
        key=lambda door: (
            door[0] != "GET",
            door[0] == "DELETE" or any(word in door[1].path for word in _LAST),
        ),
    )


def visit(cast: Cast, method: str, address: Address, messages: int | None = None) -> Visit:
    if method != "GET":
        cache.clear()  # no limit of an earlier request
    one = Visit(
        scope_of(cast, "superuser", method, address), body_of(cast, method, address), messages
    )
    with suppress(Exception):  # an answer that breaks off is raised to the server
        asyncio.run(one.make())
    return one


def assert_all_are_back(pool: ConnectionPool, what: str) -> None:
    """Nudges that a request has sent leave on threads of their own, which end by themselves."""
    until(lambda: pooled.taken(pool) == 0, f"the connections are back after {what}", seconds=20)


@pytest.mark.parametrize("messages", [None, 0, 1], ids=["read", "left at once", "left on the way"])
def test_after_every_view_all_connections_are_back(
    cast: Cast, pool: ConnectionPool, messages: int | None
) -> None:
    answered: dict[int, int] = {}
    for method, address in doors(cast):
        if messages is not None and method != "GET":
            continue
        one = visit(cast, method, address, messages)
        answered[one.status] = answered.get(one.status, 0) + 1
        assert_all_are_back(pool, f"{method} {address.path}")
    assert streaming.DOWNLOADS.taken == copying.COPIES.taken == 0
    print(f"answers by status: {answered}")
    if messages is None:
        assert answered[200] > 100
        assert not [status for status in answered if status == 500]


STREAMS = (
    "api/v1/jobs/<job_id>/log/download",
    "api/v1/jobs/<job_id>/bundle",
    "api/v1/connections/<connection_id>/metrics/export",
    "audit/csv",
)


@pytest.mark.parametrize("route", STREAMS)
def test_ten_broken_downloads_leave_everything_free(
    cast: Cast, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    began = 0

    async def broken(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        nonlocal began
        async with aclosing(pieces):
            began += 1
            yield await anext(pieces)
            raise OSError("the link broke")

    body = streaming.Body
    monkeypatch.setattr(streaming, "Body", lambda pieces, owned: body(broken(pieces), owned))
    address = address_of(route, cast.values)
    for _ in range(10):
        assert visit(cast, "GET", address).status == 200
        assert_all_are_back(pool, route)
    assert began == 10
    assert streaming.DOWNLOADS.taken == copying.COPIES.taken == 0


# Tasks with an argument, and what they are given.
ARGUMENTS = {"exports.run_schedule": "schedule_id"}


@pytest.fixture
def own_dispatcher(pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deliveries of this test end with it: the process's own thread would go on in the next."""
    own = dispatch.Dispatcher()
    monkeypatch.setattr("notifications.tasks.dispatcher", own)
    yield
    own.close()


@pytest.mark.usefixtures("own_dispatcher")
def test_after_every_task_all_connections_are_back(cast: Cast, pool: ConnectionPool) -> None:
    """As a worker's thread runs them; what Celery's part for Django does afterwards is a part."""
    app.loader.import_default_modules()
    fixup = DjangoWorkerFixup(app)  # listens as long as somebody has it
    fixup.install()
    names = sorted(name for name in app.tasks if not name.startswith("celery."))
    assert len(names) > 20
    for name in names:
        arguments = [str(cast.values[ARGUMENTS[name]])] if name in ARGUMENTS else []
        thread = threading.Thread(target=_work, args=(name, arguments))
        thread.start()
        thread.join(120)
        assert_all_are_back(pool, name)


def _work(name: str, arguments: list[str]) -> None:
    task = app.tasks[name]
    request = {"id": name, "task": name, "args": arguments, "kwargs": {}, "is_eager": False}
    build_tracer(name, task, app=app)(name, arguments, {}, request)
