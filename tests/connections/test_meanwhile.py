"""What others do to a machine, and to who adds or changes it, while its name is looked up."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AuditEvent, Membership, Role, Team, User
from accounts.policy import Caller
from connections import inputs as connections_inputs
from connections import services
from connections.models import Connection
from core.errors import NotFound
from tests import factories, meanwhile
from tests.api.client import Api

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = {
    "name": "spark",
    "hostname": "192.0.2.7",
    "username": "ml",
    "auth_method": "password",
    "password": "x",
}
CHANGES = {"hostname": "192.0.2.9", "auth_method": "password", "password": "x"}
Slowly = Callable[[Callable[[], object]], None]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Slowly:
    """What happens while the next name is looked up, and committed before that ends."""

    def while_looking(act: Callable[[], object]) -> None:
        def look(row: Connection) -> None:
            monkeypatch.setattr(connections_inputs, "refuse_address", real)
            act()

        real = connections_inputs.refuse_address
        monkeypatch.setattr(connections_inputs, "refuse_address", look)

    return while_looking


@pytest.fixture
def team() -> Team:
    return factories.make_team()


@pytest.fixture
def boss(team: Team) -> User:
    return administrator(team)


def administrator(team: Team) -> User:
    user = factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    return user


def api(person: User) -> Api:
    return Api(factories.make_token(person))


@pytest.mark.parametrize(("role", "status"), [(None, 404), (Role.OPERATOR, 403)])
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_who_loses_the_right_meanwhile_adds_nothing(
    team: Team, boss: User, slowly: Slowly, role: str | None, status: int, key: dict[str, str]
) -> None:
    slowly(lambda: take_away(boss, role))
    body = FIELDS | {"team_id": str(team.pk)}
    assert api(boss).post("/connections", body, **key).status_code == status
    assert not Connection.objects.exists()
    assert not AuditEvent.objects.filter(action="connection.create").exists()


def test_a_superuser_no_more_adds_nothing(team: Team, slowly: Slowly) -> None:
    root = factories.make_user(is_superuser=True)
    slowly(lambda: User.objects.filter(pk=root.pk).update(is_superuser=False))
    answer = api(root).post("/connections", FIELDS | {"team_id": str(team.pk)})
    assert answer.status_code == 404
    assert not Connection.objects.exists()


def test_a_token_that_is_revoked_meanwhile_adds_nothing(boss: User, slowly: Slowly) -> None:
    slowly(lambda: boss.api_tokens.update(revoked_at="2026-01-01T00:00Z"))
    assert api(boss).post("/connections", FIELDS).status_code == 401
    assert not Connection.objects.exists()


def test_a_jump_host_that_moves_meanwhile_is_not_used(
    team: Team, boss: User, slowly: Slowly
) -> None:
    jump = factories.make_connection(team)
    other = factories.make_team()
    slowly(lambda: Connection.objects.filter(pk=jump.pk).update(team=other))
    answer = api(boss).post("/connections", FIELDS | {"jump_connection_id": str(jump.pk)})
    assert answer.status_code == 404
    assert Connection.objects.count() == 1


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda caller, row: services.delete(caller, row.pk), 404),
        (lambda caller, row: take_away(caller.user, None), 404),
        (lambda caller, row: take_away(caller.user, Role.VIEWER), 403),
    ],
)
def test_nothing_is_changed_that_is_not_theirs_by_then(
    team: Team, boss: User, slowly: Slowly, act: Any, status: int
) -> None:
    row = factories.make_connection(team)
    slowly(lambda: act(Caller(boss), row))
    assert api(boss).patch(f"/connections/{row.pk}", CHANGES).status_code == status
    row.refresh_from_db()
    assert row.hostname == "192.0.2.1"


def test_a_machine_that_moves_meanwhile_is_looked_at_again(
    team: Team, boss: User, slowly: Slowly
) -> None:
    row, other = services.create(Caller(boss), FIELDS), factories.make_team()
    factories.join(boss, other, Role.ADMINISTRATOR)
    slowly(lambda: services.change(Caller(boss), row.pk, {"team_id": other.pk}))
    assert api(boss).patch(f"/connections/{row.pk}", CHANGES).status_code == 409
    row.refresh_from_db()
    assert (row.hostname, row.team) == ("192.0.2.7", other)


def test_what_others_wrote_meanwhile_stays(team: Team, boss: User, slowly: Slowly) -> None:
    row = services.create(Caller(boss), FIELDS)
    slowly(lambda: services.change(Caller(boss), row.pk, {"name": "renamed"}))
    answer = api(boss).patch(f"/connections/{row.pk}", CHANGES)
    assert (answer.json()["name"], answer.json()["hostname"]) == ("renamed", "192.0.2.9")


def test_nobody_connects_what_is_deleted_meanwhile(team: Team, boss: User) -> None:
    row, caller = factories.make_connection(team), Caller(boss)
    second = meanwhile.behind(
        lambda: services.delete(caller, row.pk), lambda: services.connect(caller, row.pk)
    )
    assert isinstance(second.exception(), NotFound)
    row.refresh_from_db()
    assert not row.is_active


def take_away(person: User, role: str | None) -> None:
    rows = Membership.objects.filter(user=person)
    if role is None:
        rows.delete()
    else:
        rows.update(role=role)
