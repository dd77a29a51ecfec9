"""Machines in Django's admin: the API's rules, secrets that only go in, and an audit row."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Role, Team, User
from connections.credentials import keys
from connections.models import Connection
from tests import factories

ADD = "/admin/connections/connection/add/"
LIST = "/admin/connections/connection/"
FINGERPRINT = "SHA256:" + "A" * 43


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team()


@pytest.fixture
def client(team: Team) -> Client:
    """Logged in as a superuser."""
    client = Client()
    client.force_login(factories.make_user(is_superuser=True, is_staff=True))
    return client


def form(team: Team, **fields: Any) -> dict[str, Any]:
    return {
        "team": str(team.pk),
        "name": "spark",
        "tags": "[]",
        "transport": "ssh",
        "hostname": "192.0.2.7",
        "port": "22",
        "username": "ml",
        "auth_method": "password",
        "password": "pass-canary",
        "ollama_port": "11434",
        "auto_connect": "on",
    } | fields


def test_adds_a_machine_through_the_service(client: Client, team: Team) -> None:
    answer = client.post(ADD, form(team))
    assert answer.status_code == 302, answer.content
    row = Connection.objects.get()
    assert row.secret("password") == "pass-canary"
    assert row.is_active
    assert AuditEvent.objects.get().action == "connection.create"


def test_shows_no_secret_not_even_after_an_error(client: Client, team: Team) -> None:
    private, _ = keys.generate()
    sent = form(team, auth_method="key", private_key=private, passphrase="pp-canary")
    assert client.post(ADD, sent).status_code == 302
    row = Connection.objects.get()
    shown = client.get(reverse("admin:connections_connection_change", args=[row.pk]))
    failed = client.post(ADD, sent | {"hostname": "127.0.0.1", "name": "other"})
    for page in (shown.content.decode(), failed.content.decode()):
        assert "canary" not in page
        assert private.splitlines()[2] not in page
        assert row.private_key_encrypted not in page
    assert b"private key" in shown.content
    assert b"Loopback addresses are not allowed" in failed.content


def test_changes_a_machine_and_keeps_the_password(client: Client, team: Team) -> None:
    client.post(ADD, form(team))
    row = Connection.objects.get()
    path = reverse("admin:connections_connection_change", args=[row.pk])
    answer = client.post(path, form(team, password="", ollama_port="2222"))
    assert answer.status_code == 302, answer.content
    changed = Connection.objects.get()
    assert (changed.ollama_port, changed.secret("password")) == (2222, "pass-canary")
    assert AuditEvent.objects.first().detail == {  # type: ignore[union-attr]
        "fields": ["ollama_port"]
    }


def test_asks_for_the_password_before_it_goes_elsewhere(client: Client, team: Team) -> None:
    client.post(ADD, form(team))
    path = reverse("admin:connections_connection_change", args=[Connection.objects.get().pk])
    refused = client.post(path, form(team, password="", port="2222"))
    assert (refused.status_code, Connection.objects.get().port) == (200, 22)
    assert b"Give the password again" in refused.content
    assert client.post(path, form(team, password="again", port="2222")).status_code == 302
    changed = Connection.objects.get()
    assert (changed.port, changed.secret("password"), changed.revision) == (2222, "again", 2)


def test_accepts_exactly_the_host_key_that_was_shown(client: Client, team: Team) -> None:
    client.post(ADD, form(team))
    Connection.objects.update(offered_host_key=FINGERPRINT)
    path = reverse("admin:connections_connection_change", args=[Connection.objects.get().pk])
    assert FINGERPRINT.encode() in client.get(path).content
    other = "SHA256:" + "B" * 43
    assert client.post(path, form(team, accept_host_key=[other])).status_code == 200
    assert Connection.objects.get().host_key == ""
    assert client.post(path, form(team, accept_host_key=[FINGERPRINT])).status_code == 302
    assert Connection.objects.get().host_key == FINGERPRINT


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "$(id)"},
        {"hostname": "user@host"},
        {"port": "0"},
        {"auth_method": "key", "password": ""},
        {"private_key": "garbage"},
        {"name": "a\u202eb"},
        {"tags": '{"a": 1}'},
    ],
)
def test_refuses_what_the_api_refuses(client: Client, team: Team, fields: Any) -> None:
    assert client.post(ADD, form(team, **fields)).status_code == 200
    assert not Connection.objects.exists()


def test_actions_connect_disconnect_and_trash(client: Client, team: Team) -> None:
    row = factories.make_connection(team)
    for action, check in (
        ("connect", lambda found: found.is_active),
        ("disconnect", lambda found: not found.is_active),
        ("move_to_trash", lambda found: found.deleted_at is not None),
    ):
        answer = client.post(LIST, {"action": action, "_selected_action": [str(row.pk)]})
        assert answer.status_code == 302
        assert check(Connection.objects.get())
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions == {"connection.connect", "connection.disconnect", "connection.delete"}


def test_staff_see_only_their_teams_and_do_what_their_role_allows(team: Team) -> None:
    mine = factories.make_connection(team, name="mine-here")
    factories.make_connection(name="foreign-there")
    staff = factories.make_user(is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="connections"))
    factories.join(staff, team, Role.VIEWER)
    client = Client()
    client.force_login(staff)
    page = client.get(LIST).content
    assert b"mine-here" in page
    assert b"foreign-there" not in page
    client.post(LIST, {"action": "connect", "_selected_action": [str(mine.pk)]})
    assert not Connection.objects.get(pk=mine.pk).is_active
    assert client.post(ADD, form(team)).status_code == 200


def test_other_rows_are_read_only_and_without_secrets(client: Client, team: Team) -> None:
    secret = factories.make_token(User.objects.get())
    AuditEvent.objects.create(actor_name="x", action="y")
    for model in ("accounts/apitoken", "accounts/auditevent", "connections/keeper"):
        assert client.get(f"/admin/{model}/").status_code == 200
        assert client.get(f"/admin/{model}/add/").status_code == 403
    token = User.objects.get().api_tokens.get()
    page = client.get(f"/admin/accounts/apitoken/{token.pk}/change/").content.decode()
    assert secret not in page
    assert token.digest not in page
    sent = {"action": "revoke", "_selected_action": [str(token.pk)]}
    client.post("/admin/accounts/apitoken/", sent)
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert AuditEvent.objects.filter(action="token.revoke").exists()


def test_changes_to_people_and_teams_are_audited(client: Client, team: Team) -> None:
    person = factories.make_user()
    sent = {
        "name": "renamed",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": str(person.pk),
        "memberships-0-role": "operator",
    }
    answer = client.post(f"/admin/accounts/team/{team.pk}/change/", sent)
    assert answer.status_code == 302, answer.content
    assert team.memberships.get().role == "operator"
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions == {"team.change", "member.add"}
