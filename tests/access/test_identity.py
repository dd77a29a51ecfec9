"""What a session has to meet is asked of every request that goes by it, whatever headers it has.

Each address × method × odd `Authorization` header, with the session of somebody who lacks the
second factor: a page behaves as if the header were not there, the API as if the session were not.
"""

import itertools
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.audit import denials
from accounts.models import AuditEvent, Role, Scope, User
from accounts.policy import ACTIONS, Right, methods_of
from dgxsite.sockets import access as sockets_access
from tests import factories
from tests.access.addresses import Address, address_of, every_route
from tests.access.cast import Cast, make_cast
from tests.live.people import log_in, with_session

# Where a person proves who they are, or leaves.
OPEN = ("accounts/", "static/")


@pytest.fixture
def cast(db: None, settings: Any) -> Cast:
    found = make_cast()
    settings.REQUIRE_MFA = True
    return found


@pytest.fixture
def headers(cast: Cast) -> dict[str, str]:
    """Each odd header; the last one is right, but of another person, who is asked for no factor."""
    return {
        "empty": "",
        "basic": "Basic YWRhOnBhc3N3b3Jk",
        "no token": "Bearer dgx_" + "x" * 43,
        "no scheme": "dgx_" + "x" * 43,
        "two": "Bearer a, Bearer b",
        "control": "Bearer \x00",
        "another's": f"Bearer {factories.make_token(cast.users['viewer'], Scope.READ)}",
    }


def doors(cast: Cast, *, api: bool) -> Iterator[tuple[Address, str, str]]:
    for route in every_route():
        address = address_of(route, cast.values)
        for method, action in (methods_of(route) or {}).items():
            if address.is_api is api:
                yield address, method, action


def knock(client: Client, address: Address, method: str, **headers: str) -> Any:
    call = getattr(client, method.lower())
    options = {"data": "{}", "content_type": "application/json"} if method != "GET" else {}
    return call(address.path, headers=headers or None, **options)


@pytest.mark.timeout(600)
def test_no_header_opens_a_page_to_a_session_without_its_factor(
    cast: Cast, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "django.request")
    client, walked = cast.pages["administrator"], 0
    others = itertools.cycle(headers.items())
    for address, method, _ in doors(cast, api=False):
        if address.route.startswith(OPEN):
            continue
        walked += 1
        # The gate does not look at the method: the headers take turns where nothing is read.
        tried = headers.items() if method == "GET" else [next(others)]
        for name, value in tried:
            answer = knock(client, address, method, Authorization=value)
            led = answer.status_code == 302 and answer.headers["Location"] == "/accounts/2fa/"
            assert led, f"{method} {address.path} with {name}: {answer.status_code}"
    assert walked > 100


@pytest.mark.timeout(600)
def test_the_api_takes_the_header_alone_or_the_session_with_its_factor(
    cast: Cast, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    client, bare, walked = cast.pages["administrator"], Client(raise_request_exception=False), 0
    for address, method, action in doors(cast, api=True):
        if ACTIONS[action] is Right.ANYONE:
            continue
        walked += 1
        alone = knock(client, address, method)
        assert (alone.status_code, alone.json()["code"]) == (403, "second_factor_required")
        for name, value in headers.items():
            answer = knock(client, address, method, Authorization=value)
            if name != "another's":
                assert answer.status_code == 401, f"{method} {address.path} with {name}"
            elif method == "GET":
                same = knock(bare, address, method, Authorization=value)
                assert answer.status_code == same.status_code, address.path
    assert walked > 80


def test_sockets_take_the_header_alone_too(cast: Cast, headers: dict[str, str]) -> None:
    by_session = with_session(log_in(cast.users["administrator"]))
    assert sockets_access.admit({"headers": by_session}) is None
    for name, value in headers.items():
        both = [*by_session, (b"authorization", value.encode())]
        found = sockets_access.admit({"headers": both})
        who = found[0].user_id if found else None
        assert who == (cast.users["viewer"].pk if name == "another's" else None), name


def test_a_page_that_refuses_names_the_person_whatever_the_header(cast: Cast) -> None:
    answer = cast.pages["viewer"].get("/admin/", headers={"Authorization": "Basic x"})
    assert answer.status_code == 403
    denials.write_down(timezone.now() + timedelta(minutes=2))
    rows = AuditEvent.objects.filter(action="access.refused")
    assert [row.actor_name for row in rows] == ["viewer"]


def test_a_script_does_not_keep_a_login_alive(db: None) -> None:
    user: User = factories.make_user("ada")
    factories.join(user, factories.make_team(), Role.VIEWER)
    client = Client()
    client.post("/accounts/login/", {"login": "ada", "password": "password"})
    over = timezone.now() + timedelta(minutes=1)
    session = client.session
    session["seen_at"] = (timezone.now() - timedelta(minutes=30)).isoformat()
    session.save()
    Session.objects.update(expire_date=over)
    for value in (f"Bearer {factories.make_token(user)}", "Bearer x"):
        client.get("/api/v1/connections", headers={"Authorization": value})
        assert Session.objects.get().expire_date == over
    assert client.get("/api/v1/connections").status_code == 200
    assert Session.objects.get().expire_date > over
