"""What others do to a channel, its team and its people while an address is checked for seconds."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from accounts.models import AuditEvent, Membership, Role, Team, User
from accounts.policy import Caller
from core.errors import NotFound
from notifications import services
from notifications.channels import addresses
from notifications.models import Channel, Choice
from tests import factories, meanwhile
from tests.api.client import Api

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "https://192.0.2.1/old", "https://192.0.2.2/new"
Slowly = Callable[[Callable[[], object]], None]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Slowly:
    """What happens while the next address is checked, and committed before the check ends."""

    def while_checking(act: Callable[[], object]) -> None:
        def check(kind: str, url: str) -> str:
            monkeypatch.setattr(addresses, "check", real)
            act()
            return real(kind, url)

        real = addresses.check
        monkeypatch.setattr(addresses, "check", check)

    return while_checking


@pytest.fixture
def team() -> Team:
    return factories.make_team()


@pytest.fixture
def boss(team: Team) -> User:
    user = factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    return user


@pytest.fixture
def colleague(team: Team) -> Caller:
    user = factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    return Caller(user)


def make(colleague: Caller, **fields: Any) -> Channel:
    row = services.draft(colleague, {"name": "hook", "kind": "webhook", "url": OLD} | fields)
    services.add(colleague, row)
    return row


def patch(boss: User, channel_id: UUID, **fields: Any) -> Any:
    return Api(factories.make_token(boss)).patch(f"/notification-channels/{channel_id}", fields)


def test_a_channel_deleted_meanwhile_stays_deleted(
    boss: User, colleague: Caller, slowly: Slowly
) -> None:
    row = make(colleague)
    slowly(lambda: services.delete(colleague, row.pk))
    assert patch(boss, row.pk, url=NEW, events=[]).status_code == 404
    assert not Channel.objects.exists()
    assert not Choice.objects.exists()
    assert not AuditEvent.objects.filter(action="channel.change").exists()


def test_what_others_wrote_meanwhile_stays(boss: User, colleague: Caller, slowly: Slowly) -> None:
    row = make(colleague)
    changes = {"name": "renamed", "secret": "theirs"}
    slowly(lambda: services.change(colleague, row.pk, changes))
    answer = patch(boss, row.pk, url=NEW)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["url"]) == ("renamed", "https://192.0.2.2/…")
    row.refresh_from_db()
    assert (row.name, row.secret("url"), row.secret("secret")) == ("renamed", NEW, "theirs")


def test_the_slower_of_two_writes_no_old_address_back(
    boss: User, colleague: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(colleague)
    fill = services.fill

    def overtaken(*args: Any) -> None:
        monkeypatch.setattr(services, "fill", fill)
        fill(*args)
        services.change(colleague, row.pk, {"url": NEW})

    monkeypatch.setattr(services, "fill", overtaken)
    assert patch(boss, row.pk, name="renamed").status_code == 200
    row.refresh_from_db()
    assert (row.name, row.secret("url"), row.shown_url) == ("renamed", NEW, "https://192.0.2.2/…")


def test_an_address_comes_with_the_kind_that_it_was_checked_as(
    boss: User, colleague: Caller, slowly: Slowly
) -> None:
    row = make(colleague)
    chat = {"kind": "apprise", "url": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"}
    slowly(lambda: services.change(colleague, row.pk, chat))
    assert patch(boss, row.pk, url=NEW).status_code == 200
    row.refresh_from_db()
    assert (row.kind, row.secret("url")) == ("webhook", NEW)


@pytest.mark.parametrize(("role", "status"), [(None, 404), (Role.OPERATOR, 403)])
def test_who_loses_the_right_meanwhile_changes_nothing(
    boss: User, colleague: Caller, slowly: Slowly, role: str | None, status: int
) -> None:
    row = make(colleague)
    slowly(lambda: _take_away(boss, role))
    assert patch(boss, row.pk, url=NEW).status_code == status
    row.refresh_from_db()
    assert row.secret("url") == OLD


@pytest.mark.parametrize(("role", "status"), [(None, 404), (Role.OPERATOR, 403)])
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_who_loses_the_right_meanwhile_adds_nothing(
    boss: User, team: Team, slowly: Slowly, role: str | None, status: int, key: dict[str, str]
) -> None:
    slowly(lambda: _take_away(boss, role))
    body = {"team_id": str(team.pk), "name": "hook", "kind": "webhook", "url": NEW}
    api = Api(factories.make_token(boss))
    assert api.post("/notification-channels", body, **key).status_code == status
    assert not Channel.objects.exists()
    assert not AuditEvent.objects.filter(action="channel.create").exists()


def test_of_two_who_delete_one_has_done_it(boss: User, colleague: Caller) -> None:
    row = make(colleague)
    second = meanwhile.behind(
        lambda: services.delete(colleague, row.pk), lambda: services.delete(Caller(boss), row.pk)
    )
    assert isinstance(second.exception(), NotFound)
    assert AuditEvent.objects.filter(action="channel.delete").count() == 1


def _take_away(person: User, role: str | None) -> None:
    rows = Membership.objects.filter(user=person)
    if role is None:
        rows.delete()
    else:
        rows.update(role=role)
