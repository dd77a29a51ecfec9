"""Whatever a request holds, no address answers with a fault, and none leaves a traceback.

Every route of the resolver with every declared method; the fields are those that the view itself
asks for, so a new page and a new field are met without being named here.
"""

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.policy import methods_of
from dgxsite.logs import CallersMistakes
from tests.access.addresses import Address, address_of, every_route
from tests.access.bodies import BODIES
from tests.access.cast import Cast, make_cast
from tests.hardening import hostile
from tests.undone import undone

# What asks a machine is asked once: an address that is not there costs seconds each time.
_SLOW = ("/test", "/check", "/preview")
_turn = itertools.count()
PARTS = 4

pytestmark = pytest.mark.timeout(1200)


class Watched:
    """Requests of one person; what is answered with a fault, or leaves a traceback, is written."""

    def __init__(self, cast: Cast, caplog: pytest.LogCaptureFixture, actor: str) -> None:
        self._cast, self._caplog, self._actor = cast, caplog, actor
        self.wrong: list[str] = []

    def send(
        self, address: Address, method: str, *, query: str = "", path: str = "", **extra: Any
    ) -> None:
        self._caplog.clear()
        client: Client = (self._cast.api if address.is_api else self._cast.pages)[self._actor]
        answer = self._answer(client, method, path or address.path, query, extra)
        is_health = address.path == "/api/health"
        if answer.status_code >= 500 and not is_health:
            self._blame(f"{answer.status_code}", address, method, query, path, extra)
        for record in self._caplog.records:
            CallersMistakes().filter(record)
            if record.exc_info:
                self._blame(record.getMessage(), address, method, query, path, extra)

    def _answer(
        self, client: Client, method: str, path: str, query: str, extra: dict[str, Any]
    ) -> Any:
        """One request, whose effects are undone; a body that streams is read to its end."""
        cache.clear()
        with undone():
            answer = client.generic(
                method,
                path,
                extra.get("data", b""),
                extra.get("content_type", "application/octet-stream"),
                QUERY_STRING=query,
            )
        if not client.cookies:  # it has logged itself out
            client.force_login(self._cast.users[self._actor])
        return answer

    def _blame(
        self, what: str, address: Address, method: str, query: str, path: str, extra: Any
    ) -> None:
        sent = f"{path[:80]} ?{query[:120]} {str(extra)[:160]}"
        self.wrong.append(f"{method} {address.route}: {what}: {sent}")


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def watched(cast: Cast, caplog: pytest.LogCaptureFixture) -> Watched:
    caplog.set_level(logging.WARNING)
    return Watched(cast, caplog, "superuser")


def _doors(cast: Cast, part: int) -> Iterator[tuple[Address, str]]:
    """The part's share of addresses with the methods that are declared for them."""
    for route in every_route()[part::PARTS]:
        for method in methods_of(route) or {}:
            if "logout" not in route:
                yield address_of(route, cast.values), method


def _in_turn(values: Sequence[Any], count: int) -> list[Any]:
    """So many of `values`, the next ones each time."""
    return [values[next(_turn) % len(values)] for _ in range(count)]


def _is_slow(address: Address) -> bool:
    return address.path.endswith(_SLOW)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_field_breaks_a_page(
    watched: Watched, cast: Cast, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = hostile.spy_on_fields(monkeypatch)
    for address, method in _doors(cast, part):
        if address.is_api:
            continue
        right = _right(cast, address, method)
        for where in ("query", "form") if method == "POST" else ("query",):
            names.clear()
            _fill(watched, address, method, where, right)
            asked = sorted(names - {"csrfmiddlewaretoken"})
            for fields in _fillings(asked, short=_is_slow(address) or "admin/" in address.route):
                _fill(watched, address, method, where, right | fields)
    assert not watched.wrong, "\n".join(watched.wrong[:40])


def _fillings(names: list[str], *, short: bool) -> Iterator[dict[str, str]]:
    """The worst in each field on its own, and a few more in all fields at once.

    Which ones the latter are goes round from page to page, so that all are met somewhere.
    """
    for text in _in_turn(hostile.TEXTS, 2 if short else 6):
        yield dict.fromkeys(names, text)
    for name in () if short else names:
        for text in hostile.ALONE:
            yield {name: text}


def _fill(
    watched: Watched, address: Address, method: str, where: str, fields: dict[str, Any]
) -> None:
    text = urlencode(fields, errors="replace")
    if where == "query":
        watched.send(address, method, query=text)
    else:
        kind = "application/x-www-form-urlencoded"
        watched.send(address, method, data=text, content_type=kind)


def _right(cast: Cast, address: Address, method: str) -> dict[str, Any]:
    body = BODIES.get(f"{method} {address.route}", {})
    return {
        name: str(cast.values[value[1:-1]]) if str(value).startswith("<") else value
        for name, value in body.items()
    }


@pytest.mark.parametrize("part", range(PARTS))
def test_no_field_breaks_the_api(watched: Watched, cast: Cast, part: int) -> None:
    schema = cast.api["superuser"].get("/api/v1/openapi.json").json()
    for address, method in _doors(cast, part):
        operation = _operation(schema, address, method)
        if operation is None:
            continue
        names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for fields in _fillings(names, short=_is_slow(address)) if names else ():
            watched.send(address, method, query=urlencode(fields))
        properties = _properties(schema, operation)
        right = _right(cast, address, method)
        for name in properties:
            for value in _in_turn(hostile.VALUES, 1 if _is_slow(address) else 6):
                _post(watched, address, method, json.dumps(right | {name: value}).encode())
        for body in _in_turn(hostile.BODIES, 2) if properties else ():
            _post(watched, address, method, body)
    assert not watched.wrong, "\n".join(watched.wrong[:40])


def _post(watched: Watched, address: Address, method: str, body: bytes) -> None:
    watched.send(address, method, data=body, content_type="application/json")


def _operation(schema: Any, address: Address, method: str) -> Any:
    """What the API says of it; None for what is no operation."""
    path = "/" + address.route.replace("<", "{").replace(">", "}")
    return schema["paths"].get(path, {}).get(method.lower())


def _properties(schema: Any, operation: Any) -> list[str]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    found = schema["components"]["schemas"].get(name, {}).get("properties", {})
    return list(found)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_shape_of_a_request_breaks_anything(watched: Watched, cast: Cast, part: int) -> None:
    for address, method in _doors(cast, part):
        for query in (hostile.MANY_FIELDS, *_in_turn(hostile.QUERIES, 1)):
            watched.send(address, method, query=query)
        if method != "GET":
            for kind in _in_turn(hostile.CONTENT_TYPES, 3):
                watched.send(address, method, data=b"--b\r\n\r\n{\xff\x00", content_type=kind)
            form = "application/x-www-form-urlencoded"
            watched.send(address, method, data=hostile.MANY_FIELDS, content_type=form)
        for path in _twisted(address):
            watched.send(address, method, path=path)
    assert not watched.wrong, "\n".join(watched.wrong[:40])


def _twisted(address: Address) -> Iterator[str]:
    """The path with something else in the place of its last parameter, and at its end."""
    parts = address.path.split("/")
    for text in _in_turn(hostile.PARTS, 2):
        yield quote(address.path, safe="/%") + text
        if address.names_an_object:
            at = next(i for i, part in enumerate(address.route.split("/"), 1) if "<" in part)
            yield "/".join([*parts[:at], text, *parts[at + 1 :]])
