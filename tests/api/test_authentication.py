"""Who may call: tokens in the header, sessions with CSRF, and nothing else."""

from datetime import timedelta

import pytest
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Scope
from tests import factories
from tests.api.client import Api
from tests.api.conftest import World
from tests.api.test_errors import assert_problem

LIST = "/api/v1/connections"


def test_without_login_everything_is_401(world: World) -> None:
    for path in ("/connections", "/tokens", "/teams", "/users", "/audit"):
        answer = world.nobody.get(path)
        assert_problem(answer, 401)
        assert answer["WWW-Authenticate"] == "Bearer"
    assert_problem(Client().get("/api/metrics"), 401)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer {}\n",
        "Bearer {} ",
        "Bearer  {}",
        "Bearer {}x",
        "{}",
        "Token {}",
        "Basic {}",
        "Bearer",
        "Bearer dgx_unknown-but-long-enough-to-be-one",
        "Bearer \u00e9",
        "",
    ],
)
def test_a_bad_header_is_401_even_with_a_session(world: World, header: str) -> None:
    token = factories.make_token(world.owner)
    client = Client(headers={"Authorization": header.format(token)})
    client.force_login(world.owner)
    assert_problem(client.get(LIST), 401)


def test_a_token_in_the_address_is_not_read(world: World) -> None:
    token = factories.make_token(world.owner)
    for name in ("token", "access_token", "key", "Authorization"):
        assert_problem(Client().get(LIST, {name: token}), 401)
    assert_problem(Client(cookies={"token": token}).get(LIST), 401)


def test_expired_revoked_and_disabled_are_401(world: World) -> None:
    now = timezone.now()
    for changes in ({"expires_at": now}, {"revoked_at": now}):
        secret = factories.make_token(world.owner)
        ApiToken.objects.filter(digest=ApiToken.digest_of(secret)).update(**changes)
        assert_problem(Api(secret).get("/connections"), 401)
    world.owner.is_active = False
    world.owner.save()
    assert_problem(world.admin.get("/connections"), 401)


def test_session_reads_freely_and_writes_with_csrf(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    path = f"{LIST}/{world.machine.pk}/connect"
    assert client.get(LIST).status_code == 200
    refused = client.post(path)
    assert_problem(refused, 403)
    assert refused.json()["code"] == "csrf_failed"
    secret = _get_new_csrf_string()
    client.cookies["csrftoken"] = secret
    assert client.post(path, headers={"X-CSRFToken": secret}).status_code == 202


def test_foreign_origin_is_refused_in_spite_of_the_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    secret = _get_new_csrf_string()
    client.cookies["csrftoken"] = secret
    headers = {"X-CSRFToken": secret, "Origin": "https://evil.example"}
    answer = client.post(f"{LIST}/{world.machine.pk}/connect", headers=headers)
    assert_problem(answer, 403)


def test_disabling_a_person_ends_the_session(world: World) -> None:
    client = Client()
    client.force_login(world.owner)
    world.owner.is_active = False
    world.owner.save()
    assert_problem(client.get(LIST), 401)


def test_use_of_a_token_is_noted_once_a_minute(world: World) -> None:
    secret = factories.make_token(world.owner, Scope.READ)
    rows = ApiToken.objects.filter(digest=ApiToken.digest_of(secret))
    Api(secret).get("/connections")
    first = rows.get().last_used_at
    Api(secret).get("/connections")
    assert first is not None
    assert rows.get().last_used_at == first
    rows.update(last_used_at=first - timedelta(minutes=2))
    Api(secret).get("/connections")
    again = rows.get().last_used_at
    assert again is not None
    assert again > first - timedelta(minutes=1)
