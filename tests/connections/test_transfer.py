"""A machine that changes hands: what the old team keeps of it, and what it does not."""

from typing import Any
from uuid import UUID

import pytest

from accounts.models import AuditEvent, Role, Team
from accounts.policy import Caller
from connections import broadcast, services
from connections.models import Connection
from core.errors import Invalid, NotFound
from notifications.events import notify
from notifications.models import Event
from tests import factories


@pytest.fixture
def old(db: None) -> Team:
    return factories.make_team("Old")


@pytest.fixture
def new(db: None) -> Team:
    return factories.make_team("New")


@pytest.fixture
def caller(old: Team, new: Team) -> Caller:
    user = factories.make_user("mover")
    for team in (old, new):
        factories.join(user, team, Role.ADMINISTRATOR)
        factories.open_server_key(team)
    return Caller(user)


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UUID, UUID]]:
    """Team and machine for which open pages would be told: the call that leaves the process."""
    seen: list[tuple[UUID, UUID]] = []
    monkeypatch.setattr(broadcast, "removed", lambda team, machine: seen.append((team, machine)))
    return seen


def machine_of(team: Team, **fields: Any) -> Connection:
    return factories.make_connection(team, **({"auth_method": "agent"} | fields))


def test_the_new_team_has_it_and_the_old_one_no_more(caller: Caller, old: Team, new: Team) -> None:
    row = machine_of(old, auth_method="password")
    row.set_secret("password", "s3cret")
    row.save()
    staying = factories.make_user("staying")
    factories.join(staying, old, Role.ADMINISTRATOR)
    services.change(caller, row.pk, {"team_id": new.pk})
    with pytest.raises(NotFound):
        services.find(Caller(staying), row.pk)
    moved = Connection.objects.get(pk=row.pk)
    assert (moved.team, moved.secret("password")) == (new, "s3cret")
    assert moved.revision == row.revision + 1, "a held session is opened anew for the new team"


def test_both_teams_read_of_it_in_their_audit(caller: Caller, old: Team, new: Team) -> None:
    row = machine_of(old, name="spark")
    services.change(caller, row.pk, {"team_id": new.pk})
    told = {event.team: (event.action, event.detail) for event in AuditEvent.objects.all()}
    assert told == {
        old: ("connection.move", {"to": "New"}),
        new: ("connection.change", {"fields": ["team_id"]}),
    }


def test_the_old_team_keeps_its_news_without_the_way_to_the_page(
    caller: Caller, old: Team, new: Team
) -> None:
    row, other = machine_of(old), machine_of(old)
    for machine in (row, other):
        notify(old, "unreachable", "away", link=f"/machines/{machine.pk}/", subject=machine)
    services.change(caller, row.pk, {"team_id": new.pk})
    links = dict(Event.objects.values_list("object_id", "link"))
    assert links == {str(row.pk): "", str(other.pk): f"/machines/{other.pk}/"}


def test_open_pages_of_the_old_team_drop_it_after_the_commit(
    caller: Caller,
    old: Team,
    new: Team,
    dropped: list[tuple[UUID, UUID]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    row = machine_of(old)
    with django_capture_on_commit_callbacks(execute=True):
        services.change(caller, row.pk, {"team_id": new.pk})
        assert dropped == []
    assert dropped == [(old.pk, row.pk)]


@pytest.mark.parametrize("is_jump_host", [True, False])
def test_neither_end_of_a_jump_moves(
    caller: Caller, old: Team, new: Team, is_jump_host: bool
) -> None:
    host = machine_of(old)
    behind = machine_of(old, jump_connection=host)
    row = host if is_jump_host else behind
    with pytest.raises(Invalid):
        services.change(caller, row.pk, {"team_id": new.pk})
    assert Connection.objects.filter(team=old).count() == 2
    assert not AuditEvent.objects.exists()
