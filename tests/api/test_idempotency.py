"""One `Idempotency-Key`, one effect."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.auth.idempotency import LIFETIME
from accounts.models import ApiToken, AuditEvent, IdempotentAnswer, Role, Scope, User
from connections.models import Connection
from tests import factories
from tests.api.client import Api
from tests.api.conftest import World
from tests.api.machines import body

KEY = {"Idempotency-Key": "once-please"}


def test_the_second_request_gets_the_first_answer(world: World) -> None:
    first = world.admin.post("/connections", body(), **KEY)
    second = world.admin.post("/connections", body(), **KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert Connection.objects.count() == 2


def test_another_body_under_the_same_key_conflicts(world: World) -> None:
    world.admin.post("/connections", body(), **KEY)
    answer = world.admin.post("/connections", body(name="other"), **KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def test_keys_belong_to_a_person_and_a_path(world: World) -> None:
    path = f"/connections/{world.machine.pk}"
    assert world.admin.post(f"{path}/connect", **KEY).json()["is_active"] is True
    assert world.admin.post(f"{path}/disconnect", **KEY).json()["is_active"] is False
    assert world.operator.post(f"{path}/connect", **KEY).json()["is_active"] is True
    assert AuditEvent.objects.count() == 3


def test_a_weaker_token_does_not_read_what_a_stronger_one_was_answered(world: World) -> None:
    wanted = {"name": "ci", "scope": "admin"}
    assert world.admin.post("/tokens", wanted, **KEY).status_code == 201
    weaker = Api(factories.make_token(world.owner, Scope.READ))
    answer = weaker.post("/tokens", wanted, **KEY)
    assert answer.status_code == 409
    assert "token" not in answer.json()


def test_a_failure_leaves_the_key_free(world: World) -> None:
    factories.make_connection(world.team, name="spark")
    assert world.admin.post("/connections", body(), **KEY).status_code == 409
    Connection.objects.filter(name="spark").delete()
    assert world.admin.post("/connections", body(), **KEY).status_code == 201


def test_keys_are_forgotten_after_a_day(world: World) -> None:
    world.admin.post("/connections", body(), **KEY)
    IdempotentAnswer.objects.update(created_at=timezone.now() - LIFETIME - timedelta(seconds=1))
    assert world.admin.post("/connections", body(name="b"), **KEY).status_code == 201
    assert IdempotentAnswer.objects.count() == 1


def test_a_kept_answer_holds_no_secret_in_clear(world: World) -> None:
    created = world.admin.post("/tokens", {"name": "ci"}, **KEY).json()
    again = world.admin.post("/tokens", {"name": "ci"}, **KEY).json()
    assert again["token"] == created["token"]
    assert created["token"] not in str(list(IdempotentAnswer.objects.values()))
    assert ApiToken.objects.filter(name="ci").count() == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\x01"])
def test_odd_keys_are_refused(world: World, key: str) -> None:
    answer = world.admin.post("/connections", body(), **{"Idempotency-Key": key})
    assert answer.status_code == 422


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_have_one_effect() -> None:
    team, owner = factories.make_team(), factories.make_user()
    factories.join(owner, team, Role.ADMINISTRATOR)
    token = factories.make_token(owner, Scope.ADMIN)

    def send(_: int) -> Any:
        try:
            return Api(token).post("/connections", body(), **KEY)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=50) as pool:
        answers = list(pool.map(send, range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Connection.objects.count() == 1
    assert AuditEvent.objects.filter(action="connection.create").count() == 1
    assert User.objects.count() == 1
