"""A kept answer is not replayed to who lost the right since: every POST that keeps one."""

import json
import logging
from typing import Any

import pytest
from django.core.cache import cache

from accounts.auth.idempotency import REPLAYED
from accounts.models import IdempotentAnswer, Membership, User
from accounts.policy import ACTIONS, Right, methods_of
from tests.access.addresses import Address, address_of, every_route
from tests.access.bodies import BODIES
from tests.access.cast import Cast, make_cast
from tests.undone import undone

# What the addresses of the access matrix keep; the rest keeps nothing, or cannot work there.
KEEPS = {
    "connections/<connection_id>/connect",
    "connections/<connection_id>/disconnect",
    "connections/<connection_id>/exports",
    "connections/<connection_id>/gpu-alerts",
    "exports/<export_id>/repeat",
    "export-schedules",
    "alert-rules",
    "jobs",
    "jobs/<job_id>/start",
    "jobs/<job_id>/stop",
    "teams",
    "teams/<team_id>/invitations",
    "teams/<team_id>/members",
    "tokens",
    "users",
}
# One's own: who may still log in may still have it.
OWN = {"tokens"}


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def post(cast: Cast, actor: str, address: Address) -> Any:
    cache.clear()
    sent = BODIES.get(f"POST {address.route}", {})
    filled = {
        name: str(cast.values[value[1:-1]]) if str(value).startswith("<") else value
        for name, value in sent.items()
    }
    return cast.api[actor].post(
        address.path,
        json.dumps(filled),
        content_type="application/json",
        headers={"Idempotency-Key": "once"},
    )


def take_away(cast: Cast, actor: str) -> None:
    Membership.objects.filter(user=cast.users[actor]).delete()
    User.objects.filter(pk=cast.users[actor].pk).update(is_superuser=False)


@pytest.mark.timeout(300)
def test_no_answer_is_replayed_to_who_lost_the_right(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    kept, wrong = set(), []
    for route in every_route():
        action = (methods_of(route) or {}).get("POST")
        if not route.startswith("api/v1/") or action is None or ACTIONS[action] is Right.ANYONE:
            continue
        name = route.removeprefix("api/v1/")
        with undone():
            found: Any = _replayed(cast, address_of(route, cast.values), action)
        if found is not None:
            kept.add(name)
            wrong += [name] if found != (name in OWN) else []
    assert wrong == []
    assert kept >= KEEPS, KEEPS - kept


def _replayed(cast: Cast, address: Address, action: str) -> bool | None:
    """Whether the second answer is the first one; None where none is kept."""
    actor = "superuser" if ACTIONS[action] is Right.SUPERUSER else "administrator"
    first = post(cast, actor, address)
    if not IdempotentAnswer.objects.filter(status__isnull=False).exists():
        return None
    assert REPLAYED in post(cast, actor, address).headers
    take_away(cast, actor)
    second = post(cast, actor, address)
    if REPLAYED not in second.headers:
        assert second.status_code in (403, 404), (address.path, second.status_code)
        return False
    assert json.loads(second.content) == json.loads(first.content)
    return True
