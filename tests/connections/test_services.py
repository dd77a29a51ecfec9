"""What a service does around its row: audit first, one transaction, then the keepers are woken."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.models import AuditEvent, Role, Team
from accounts.policy import Caller
from connections import services, wakeup
from connections.models import Connection
from core.errors import Forbidden, NotFound, SiteError
from tests import factories

FIELDS = {
    "name": "spark",
    "hostname": "192.0.2.7",
    "username": "ml",
    "auth_method": "password",
    "password": "x",
}


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team()


def person(team: Team, role: str = Role.ADMINISTRATOR, **fields: Any) -> Caller:
    user = factories.make_user(**fields)
    factories.join(user, team, role)
    return Caller(user)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The rows that the keepers would be told of: the one call that leaves the process."""
    seen: list[UUID] = []
    monkeypatch.setattr(wakeup, "wake_keepers", seen.extend)
    return seen


def test_every_action_wakes_the_keepers_after_the_commit(
    team: Team, woken: list[UUID], django_capture_on_commit_callbacks: Any
) -> None:
    caller = person(team)
    with django_capture_on_commit_callbacks(execute=True):
        row = services.create(caller, FIELDS)
        assert woken == []
    for act in (
        lambda: services.change(caller, row.pk, {"port": 2222, "password": "x"}),
        lambda: services.connect(caller, row.pk),
        lambda: services.disconnect(caller, row.pk),
        lambda: services.accept_host_key(caller, row.pk, "SHA256:" + "A" * 43),
        lambda: services.delete(caller, row.pk),
        lambda: services.restore(caller, row.pk),
    ):
        woken.clear()
        with django_capture_on_commit_callbacks(execute=True):
            act()
        assert woken == [row.pk]


def test_nothing_changed_is_no_change(
    team: Team, woken: list[UUID], django_capture_on_commit_callbacks: Any
) -> None:
    caller = person(team)
    row = services.create(caller, FIELDS)
    before = AuditEvent.objects.count()
    with django_capture_on_commit_callbacks(execute=True):
        services.change(caller, row.pk, {"name": "spark", "port": 22})
    assert (woken, AuditEvent.objects.count()) == ([], before)


def test_a_refused_action_leaves_no_trace(team: Team) -> None:
    row = factories.make_connection(team)
    for caller, error in (
        (person(team, Role.VIEWER), Forbidden),
        (person(factories.make_team()), NotFound),
    ):
        for act in (services.connect, services.disconnect, services.delete):
            with pytest.raises(error):
                act(caller, row.pk)
    assert not AuditEvent.objects.exists()
    assert not row.events.exists()


def test_a_disabled_person_sees_nothing(team: Team) -> None:
    row = factories.make_connection(team)
    with pytest.raises(NotFound):
        services.find(person(team, is_active=False), row.pk)


def test_a_failed_write_takes_its_audit_row_along(team: Team) -> None:
    caller = person(team)
    services.create(caller, FIELDS)
    before = AuditEvent.objects.count()
    with pytest.raises(SiteError):
        services.create(caller, FIELDS)
    assert AuditEvent.objects.count() == before


def test_connecting_again_asks_for_a_retry_now(team: Team) -> None:
    row = factories.make_connection(team, is_active=True)
    services.connect(person(team), row.pk)
    row.refresh_from_db()
    assert row.retry_now_at is not None
    assert not row.events.exists()


def test_a_form_that_sends_the_fingerprint_back_keeps_its_type(team: Team) -> None:
    row = factories.make_connection(team, auth_method="agent", host_key="SHA256:" + "A" * 43)
    Connection.objects.filter(pk=row.pk).update(host_key_type="ssh-ed25519")
    changed = services.change(person(team), row.pk, {"host_key": row.host_key})
    assert (changed.host_key_type, changed.revision) == ("ssh-ed25519", 1)


def test_removing_the_only_key_is_refused(team: Team) -> None:
    caller = person(team)
    factories.open_server_key(team)
    row = services.create(
        caller, FIELDS | {"auth_method": "key", "generate_key": True, "password": None}
    )
    with pytest.raises(SiteError):
        services.change(caller, row.pk, {"private_key": None})
    changed = services.change(caller, row.pk, {"private_key": None, "auth_method": "agent"})
    assert changed.private_key_encrypted == ""
    assert changed.public_key == ""


def test_a_new_key_replaces_the_old_and_its_public_half(team: Team) -> None:
    caller = person(team)
    row = services.create(caller, FIELDS | {"auth_method": "key", "generate_key": True})
    again = services.change(caller, row.pk, {"generate_key": True})
    assert again.public_key != row.public_key
    assert again.revision == row.revision
    assert Connection.objects.get(pk=row.pk).revision == row.revision + 1


def test_an_unknown_row_is_not_there(team: Team) -> None:
    with pytest.raises(NotFound):
        services.find(person(team), uuid4())
