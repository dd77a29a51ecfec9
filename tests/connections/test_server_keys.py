"""The server's own keys are open to the teams that a superuser named, and to no other."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, Role, Team, User
from accounts.policy import Caller
from connections import services, ssh, wakeup
from connections.credentials import keys, server_keys
from connections.models import Connection, ServerKey
from connections.ssh import targets
from core.errors import Invalid
from tests import factories
from tests.api.client import Api, fields_of

LIST = "/admin/connections/serverkey/"
FIELDS = {"name": "spark", "hostname": "192.0.2.7", "username": "ml"}
AGENT = FIELDS | {"auth_method": "agent"}
BY_PATH = FIELDS | {"auth_method": "key", "ssh_key_path": "id_site"}


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team()


@pytest.fixture
def caller(team: Team) -> Caller:
    user = factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    return Caller(user)


@pytest.fixture
def superuser(db: None) -> User:
    return factories.make_user(is_superuser=True, is_staff=True)


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    settings.SSH_KEY_DIR = tmp_path
    (tmp_path / "id_site").write_text(keys.generate()[0])
    return (tmp_path / "id_site").resolve()


def refused(row: Connection) -> str:
    """Why a log-in has no credentials now; empty if it has."""
    try:
        targets.credentials_of(Connection.objects.get(pk=row.pk))
    except ssh.ConnectError as error:
        return f"{error.reason}: {error.detail}"
    return ""


@pytest.mark.parametrize(("fields", "field"), [(AGENT, "auth_method"), (BY_PATH, "ssh_key_path")])
def test_a_teams_administrator_may_not_by_itself(
    caller: Caller, key_file: Path, fields: dict[str, Any], field: str
) -> None:
    api = Api(factories.make_token(caller.user))
    for path in ("/connections", "/connections/test"):
        answer = api.post(path, fields)
        assert (answer.status_code, fields_of(answer)) == (422, {field})
        assert "superuser" in answer.json()["errors"][0]["message"]
    assert not Connection.objects.exists()


def test_what_is_on_the_list_may_be_used(caller: Caller, team: Team, key_file: Path) -> None:
    factories.open_server_key(team, str(key_file))
    factories.open_server_key(team)
    by_path = services.create(caller, BY_PATH)
    by_agent = services.create(caller, AGENT | {"name": "other"})
    assert (refused(by_path), refused(by_agent)) == ("", "")


def test_no_answer_tells_what_lies_in_the_key_directory(caller: Caller, key_file: Path) -> None:
    answers = set()
    for path in ("id_site", "not-there", "/etc/passwd", "../"):
        with pytest.raises(Invalid) as caught:
            services.create(caller, BY_PATH | {"ssh_key_path": path, "passphrase": "guess"})
        answers.add(caught.value.errors)
    assert len(answers) == 1


def test_each_log_in_asks_the_list_again(caller: Caller, team: Team, key_file: Path) -> None:
    factories.open_server_key(team, str(key_file))
    row = services.create(caller, BY_PATH)
    Connection.objects.filter(pk=row.pk).update(ssh_key_path=str(key_file) + "2")
    assert refused(row).startswith("key_unusable: This is no key file that is open")
    Connection.objects.filter(pk=row.pk).update(auth_method="agent")
    assert "SSH agent is not open" in refused(row)
    Connection.objects.filter(pk=row.pk).update(
        auth_method="key", ssh_key_path=str(key_file), team=factories.make_team()
    )
    assert refused(row).startswith("key_unusable")


def test_a_machine_does_not_take_a_key_of_the_server_to_another_team(
    caller: Caller, team: Team
) -> None:
    factories.open_server_key(team)
    row, other = services.create(caller, AGENT), factories.make_team()
    factories.join(caller.user, other, Role.ADMINISTRATOR)
    with pytest.raises(Invalid):
        services.change(caller, row.pk, {"team_id": other.pk})
    factories.open_server_key(other)
    services.change(caller, row.pk, {"team_id": other.pk})
    assert refused(row) == ""


def test_what_a_superuser_gives_a_machine_is_on_its_teams_list(
    superuser: User, caller: Caller, team: Team
) -> None:
    row = services.create(Caller(superuser), AGENT | {"team_id": team.pk})
    assert refused(row) == ""
    assert ServerKey.objects.get().team == team
    assert AuditEvent.objects.filter(action="server_key.open", team=team).exists()
    ServerKey.objects.all().delete()
    services.change(Caller(superuser), row.pk, {"name": "renamed"})
    assert not ServerKey.objects.exists(), "what was taken away does not come back by itself"


def test_an_entry_that_is_taken_off_ends_what_is_held(
    superuser: User, caller: Caller, team: Team, monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    woken: list[Any] = []
    monkeypatch.setattr(wakeup, "wake_keepers", woken.extend)
    entry = factories.open_server_key(team)
    held, other = services.create(caller, AGENT), factories.make_connection(team)
    with django_capture_on_commit_callbacks(execute=True):
        server_keys.close(Caller(superuser), entry)
    assert Connection.objects.get(pk=held.pk).revision == held.revision + 1
    assert Connection.objects.get(pk=other.pk).revision == other.revision
    assert woken == [held.pk]
    assert "not open" in refused(held)


def test_superusers_keep_the_list_in_the_admin(superuser: User, team: Team, key_file: Path) -> None:
    client = Client()
    client.force_login(superuser)
    outside = client.post(f"{LIST}add/", {"team": str(team.pk), "path": "/etc/passwd"})
    assert (outside.status_code, ServerKey.objects.count()) == (200, 0)
    for path in ("id_site", ""):
        assert client.post(f"{LIST}add/", {"team": str(team.pk), "path": path}).status_code == 302
    assert {entry.path for entry in ServerKey.objects.all()} == {str(key_file), ""}
    entry = ServerKey.objects.get(path="")
    assert client.post(f"{LIST}{entry.pk}/delete/", {"post": "yes"}).status_code == 302
    actions = AuditEvent.objects.filter(team=team).values_list("action", flat=True)
    assert sorted(actions) == ["server_key.close", "server_key.open", "server_key.open"]


def test_staff_who_are_no_superusers_do_not_see_the_list(team: Team) -> None:
    client, user = Client(), factories.make_user(is_staff=True)
    factories.join(user, team, Role.ADMINISTRATOR)
    client.force_login(user)
    assert client.get(LIST).status_code == 403
    assert client.post(f"{LIST}add/", {"team": str(team.pk), "path": ""}).status_code == 403
