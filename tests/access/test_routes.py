"""Every address × method × actor answers as the file in Git and as the policy says."""

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse

from accounts.models import Role
from accounts.policy import ACTIONS, ROUTES, Right, methods_of
from tests.access.addresses import Address, address_of, every_route
from tests.access.bodies import BODIES
from tests.access.cast import ACTORS, Cast, make_cast
from tests.access.matrix import Matrix, compare
from tests.undone import undone

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMINISTRATOR: 3}
_RANK_OF_ACTOR = {"viewer": 1, "operator": 2, "administrator": 3}


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_every_route_is_declared() -> None:
    assert [route for route in every_route() if methods_of(route) is None] == []


def test_every_declared_route_exists() -> None:
    routes = every_route()
    unused = [
        declared
        for declared in ROUTES
        if not any(
            route.startswith(declared[:-1]) if declared.endswith("*") else route == declared
            for route in routes
        )
    ]
    assert unused == []


def test_every_declared_action_exists() -> None:
    assert {action for methods in ROUTES.values() for action in methods.values()} <= set(ACTIONS)


@pytest.mark.timeout(1800)
def test_every_cell_is_as_agreed_and_as_the_policy_says(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "django.request")  # thousands of refusals
    seen: Matrix = {}
    wrong = []
    for address, method, action in _doors(cast):
        if action is not None:
            cells = {actor: _knock(cast, actor, address, method) for actor in ACTORS}
            seen[address.route, method] = cells
            wrong += _against_policy(address, method, action, cells)
    assert not wrong, "\n".join(wrong)
    different = compare("matrix.csv", seen)
    assert not different, "\n".join(different)


@pytest.mark.timeout(1200)
def test_a_method_that_is_not_declared_is_refused_whoever_asks(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    """The door does not look at who asks, so the least and the most right stand for all."""
    caplog.set_level(logging.CRITICAL, "django.request")
    for address, method, action in _doors(cast):
        if action is None:
            answers = {_knock(cast, actor, address, method) for actor in (ACTORS[0], ACTORS[-1])}
            assert answers == {"no method"}, f"{method} {address.path}"


def _doors(cast: Cast) -> Iterator[tuple[Address, str, str | None]]:
    """Each address with each method, and the action that is declared for the two."""
    for route in every_route():
        methods = methods_of(route) or {}
        for method in METHODS:
            yield address_of(route, _values(cast, route)), method, methods.get(method)


def _values(cast: Cast, route: str) -> dict[str, Any]:
    """What is restored is in the trash."""
    if not route.endswith("/restore"):
        return cast.values
    start = "deleted "
    in_trash = {name: value for name, value in cast.values.items() if name.startswith(start)}
    return cast.values | {name.removeprefix(start): value for name, value in in_trash.items()}


def _knock(cast: Cast, actor: str, address: Address, method: str) -> str:
    """One request, whose effects are undone."""
    client = (cast.api if address.is_api else cast.pages)[actor]
    body: Any = _body(cast, address, method)
    options: dict[str, Any] = {}
    if method != "GET":
        cache.clear()  # no limit of an earlier request
        options["data"] = json.dumps(body) if address.is_api or method != "POST" else body
        if address.is_api or method != "POST":
            options["content_type"] = "application/json"
    cookies = copy.deepcopy(client.cookies)
    with undone():
        answer = getattr(client, method.lower())(address.path, **options)
    client.cookies = cookies
    return _outcome(answer)


def _body(cast: Cast, address: Address, method: str) -> dict[str, Any]:
    body = BODIES.get(f"{method} {address.route}", {})
    return {name: _filled(value, cast) for name, value in body.items()}


def _filled(value: Any, cast: Cast) -> Any:
    return str(cast.values[value[1:-1]]) if _is_object(value) else value


def _is_object(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("<")


def _outcome(answer: HttpResponse) -> str:
    named = {401: "login", 403: "refused", 404: "absent", 405: "no method"}
    content = b"" if answer.streaming else answer.content
    if b'"no_sample"' in content or b'"checks":' in content:
        return "allowed"  # nothing was read yet, no keeper runs: not for the policy to say
    if answer.status_code in named:
        return named[answer.status_code]
    if answer.status_code >= 500:
        return f"fault {answer.status_code}"
    location = answer.headers.get("Location", "")
    is_login = answer.status_code == 302 and location.startswith("/accounts/login/?next=")
    return "login" if is_login else "allowed"


def _against_policy(address: Address, method: str, action: str, cells: dict[str, str]) -> list[str]:
    found = []
    for actor, cell in cells.items():
        expected = _expected(address, method, action, actor)
        if address.route not in ROUTES:
            expected |= _narrower(action)
        if cell not in expected:
            found.append(f"{method} {address.path} {actor}: {cell}, not {sorted(expected)}")
    return found


def _narrower(action: str) -> set[str]:
    """Under a common declaration the library's view may know fewer methods and objects."""
    return {"no method", "absent"} | ({"login"} if ACTIONS[action] is Right.ANYONE else set())


def _expected(address: Address, method: str, action: str, actor: str) -> set[str]:
    """What the table lets one expect; an object that is not the actor's own is absent."""
    needed = ACTIONS[action]
    open_ = {"allowed", "absent"} if address.names_an_object else {"allowed"}
    if needed is Right.ANYONE:
        return {"allowed", "absent"}
    if actor == "anonymous":
        return {"login"}
    if needed is Right.STAFF:
        return (
            {"allowed", "refused", "absent", "no method"} if actor == "superuser" else {"refused"}
        )
    if needed is Right.SUPERUSER:
        if actor == "stranger" and address.names_an_object:
            return {"refused", "absent"}
        return {"allowed"} if actor == "superuser" else {"refused"}
    if needed is Right.PERSON or actor == "superuser":
        return open_
    if actor == "stranger":
        return {"absent"} if _is_about_an_object(address, method) else {"allowed"}
    assert isinstance(needed, Role)
    return {"allowed"} if _RANK_OF_ACTOR[actor] >= _RANK[needed] else {"refused"}


def _is_about_an_object(address: Address, method: str) -> bool:
    """In its route, or in the API's body; a page's form says at its field that there is none."""
    sent = BODIES.get(f"{method} {address.route}", {}).values()
    return address.names_an_object or (address.is_api and any(map(_is_object, sent)))
