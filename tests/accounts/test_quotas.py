"""How much one person makes: a rate is 429 and says when, a stock is 409 and says what to do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, AuditEvent, Invitation, Membership, Role, Team, User
from accounts.policy import Caller
from accounts.teams import invitations, quotas
from accounts.teams import services as teams_services
from accounts.teams.quotas import Quota
from core.errors import Conflict, NotFound, SiteError, TooMany
from projects import schema_checks
from tests import factories
from tests.accounts.people import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Caller:
    return Caller(factories.make_user("root", is_superuser=True))


def _least(monkeypatch: pytest.MonkeyPatch, table: dict[str, Quota], action: str) -> None:
    monkeypatch.setitem(table, action, Quota(2, timedelta(hours=1), "of these in an hour"))


Make = Callable[[Caller, Team, int], object]
MAKERS: dict[str, Make] = {
    "token.create": lambda caller, team, n: tokens.create(caller, f"t{n}", "read", None),
    "invitation.create": lambda caller, team, n: invitations.create(caller, team.pk, Role.VIEWER),
    "user.create": lambda caller, team, n: teams_services.create_user(caller, f"new{n}", "", None),
    "team.create": lambda caller, team, n: teams_services.create_team(caller, f"team {n}"),
}


def test_every_quota_is_tried() -> None:
    assert set(MAKERS) == set(quotas.OF_PERSON)
    assert set(quotas.OF_TEAM) <= set(MAKERS)


@pytest.mark.parametrize("action", list(MAKERS))
def test_a_person_makes_so_many_and_then_hears_when_there_is_room(
    root: Caller, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _least(monkeypatch, quotas.OF_PERSON, action)
    team, make = factories.make_team(), MAKERS[action]
    for number in range(2):
        make(root, team, number)
    with pytest.raises(TooMany) as told:
        make(root, team, 3)
    assert 3540 <= (told.value.retry_after or 0) <= 3601
    assert "there is room again in" in told.value.detail
    other = Caller(factories.make_user("other", is_superuser=True))
    make(other, team, 4)
    with connection.cursor() as cursor:  # an hour later, for rows that nobody may change
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER USER")
        cursor.execute("UPDATE accounts_auditevent SET at = at - interval '1 hour'")
        cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER USER")
    make(root, team, 5)


def test_a_team_has_a_quota_of_its_own(root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    _least(monkeypatch, quotas.OF_TEAM, "invitation.create")
    team, other = factories.make_team(), factories.make_team()
    people = [Caller(factories.make_user(is_superuser=True)) for _ in range(3)]
    for caller in people[:2]:
        invitations.create(caller, team.pk, Role.VIEWER)
    with pytest.raises(TooMany):
        invitations.create(people[2], team.pk, Role.VIEWER)
    invitations.create(people[2], other.pk, Role.VIEWER)


def test_the_api_and_the_pages_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    boss, team = factories.make_user("boss"), factories.make_team()
    factories.join(boss, team, Role.ADMINISTRATOR)
    _least(monkeypatch, quotas.OF_PERSON, "invitation.create")
    _least(monkeypatch, quotas.OF_PERSON, "token.create")
    client = client_of(boss)
    for path, fields in (
        (f"/teams/{team.pk}/invitations", {"role": "viewer"}),
        ("/account/tokens", {"name": "ci", "scope": "read", "days": "30"}),
    ):
        assert [client.post(path, fields).status_code for _ in range(2)] == [200, 200]
        told = client.post(path, fields)
        assert "there is room again in" in told.content.decode()
        assert told.status_code in (422, 429)
    for path in (f"/api/v1/teams/{team.pk}/invitations", "/api/v1/tokens"):
        answer = client.post(
            path, '{"name": "ci"}' if "token" in path else "{}", "application/json"
        )
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 3601


def test_stocks_end_at_a_number(root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_LIVING", 2)
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    team = factories.make_team()
    first, _ = tokens.create(root, "a", "read", None)
    tokens.create(root, "b", "read", None)
    with pytest.raises(Conflict, match="revoke some first"):
        tokens.create(root, "c", "read", None)
    tokens.revoke(root, first.pk)
    ApiToken.objects.filter(name="b").update(expires_at=timezone.now())
    tokens.create(root, "c", "read", None)
    rows = [invitations.create(root, team.pk, Role.VIEWER)[0] for _ in range(2)]
    with pytest.raises(Conflict, match="withdraw some first"):
        invitations.create(root, team.pk, Role.VIEWER)
    invitations.revoke(root, team.pk, rows[0].pk)
    invitations.create(root, team.pk, Role.VIEWER)


def test_a_person_checks_few_schemas_at_once(root: Caller) -> None:
    place = [schema_checks.CHECKS.take(root.user.pk) for _ in range(2)]
    try:
        with pytest.raises(TooMany) as told:
            schema_checks.check(root, "{}", '{"type": "object"}')
        assert told.value.retry_after
        assert schema_checks.check(root, "{}", "").config_text == "{}"
        other = Caller(factories.make_user())
        assert schema_checks.check(other, "{}", '{"type": "object"}').schema_text
    finally:
        for one in place:
            one.close()


# --- At the same time --------------------------------------------------------------------------


def together(*calls: Callable[[], object]) -> list[Any]:
    """What each call raised, or None; all of them begin at once, each with its connection."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> Exception | None:
        try:
            barrier.wait()
            call()
        except Exception as error:  # noqa: BLE001 (the test looks at what it was)
            return error
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db(transaction=True)
def test_a_quota_is_exact_also_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Caller(factories.make_user("root", is_superuser=True))
    _least(monkeypatch, quotas.OF_PERSON, "token.create")
    found = together(*[lambda: tokens.create(root, "t", "read", None)] * 5)
    assert found.count(None) == 2
    assert all(isinstance(one, TooMany) for one in found if one)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(3))
def test_four_delete_a_team_while_others_change_it(turn: int) -> None:
    """One deletes it, everybody else hears that it is gone; nothing is left of it."""
    root = Caller(factories.make_user("root", is_superuser=True))
    team, member = factories.make_team("lab"), factories.make_user("member")
    factories.join(root.user, team, Role.ADMINISTRATOR)
    factories.join(member, team)
    newcomer = factories.make_user("newcomer")
    found = together(
        *[lambda: teams_services.delete_team(root, team.pk, "lab")] * 4,
        lambda: teams_services.rename_team(root, team.pk, "renamed"),
        lambda: teams_services.add_member(root, team.pk, newcomer.username, None, Role.VIEWER),
        lambda: teams_services.change_member(root, team.pk, member.pk, Role.OPERATOR),
        lambda: teams_services.remove_member(root, team.pk, member.pk),
        lambda: invitations.create(root, team.pk, Role.VIEWER),
    )
    assert all(one is None or isinstance(one, SiteError) for one in found), found
    assert sum(one is None for one in found[:4]) == 1, found
    assert all(isinstance(one, (NotFound, type(None))) for one in found[:4]), found
    assert not Team.objects.filter(pk=team.pk).exists()
    assert not Membership.objects.exists()
    assert not Invitation.objects.exists()
    assert AuditEvent.objects.filter(action="team.delete").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_page_of_a_team_that_four_delete_is_no_fault() -> None:
    root = factories.make_user("root", is_superuser=True)
    team = factories.make_team("lab")
    clients = [client_of(User.objects.get(pk=root.pk)) for _ in range(4)]
    statuses: list[int] = []

    def delete(client: Client) -> Callable[[], None]:
        def call() -> None:
            answer = client.post(f"/teams/{team.pk}/delete", {"name": "lab"})
            statuses.append(answer.status_code)

        return call

    assert together(*map(delete, clients)) == [None] * 4
    assert sorted(statuses) == [302, 404, 404, 404]
