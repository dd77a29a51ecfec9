"""Machines over the REST API: it works, then each refusal."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Role, Scope
from connections.models import Connection, Status
from core.soft_delete import PERIOD
from tests import factories
from tests.api.client import Api, fields_of
from tests.api.conftest import World
from tests.api.machines import FINGERPRINT, body, with_password

# The key of RFC 8032's first test vector, as a public key line and its fingerprint.
KEY_LINE = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea somebody"
)

CONTRACT_KEYS = {
    "id", "name", "hostname", "port", "username", "transport", "auth_method", "ssh_key_path",
    "jump_connection_id", "host_key", "offered_host_key", "ollama_port", "auto_connect", "team_id",
    "tags", "status", "reason", "is_active", "last_connected_at", "created_at", "updated_at",
    "uptime_seconds", "retry_at",
}  # fmt: skip
SECRETS = {"private_key", "passphrase", "password"}


# --- It works ----------------------------------------------------------------------------------


def test_creates_a_machine_that_is_wished_connected(world: World) -> None:
    answer = world.admin.post("/connections", body(tags=["lab", "lab", "gb10"]))
    assert answer.status_code == 201
    created = answer.json()
    assert created.keys() >= CONTRACT_KEYS
    assert not SECRETS & created.keys()
    assert created["team_id"] == str(world.team.pk)
    assert (created["port"], created["ollama_port"], created["transport"]) == (22, 11434, "ssh")
    assert (created["status"], created["is_active"]) == ("disconnected", True)
    assert created["tags"] == ["lab", "gb10"]
    assert created["created_at"].endswith("Z")
    assert world.viewer.get(f"/connections/{created['id']}").json()["name"] == "spark"


def test_without_auto_connect_it_waits(world: World) -> None:
    created = world.admin.post("/connections", body(auto_connect=False)).json()
    assert created["is_active"] is False


def test_a_name_that_does_not_resolve_is_stored(world: World) -> None:
    answer = world.admin.post("/connections", body(hostname="nowhere.invalid"))
    assert answer.status_code == 201


def test_generates_a_key_and_shows_its_public_half(world: World) -> None:
    answer = world.admin.post(
        "/connections", body(auth_method="key", password=..., generate_key=True)
    )
    assert answer.json()["public_key"].startswith("ssh-ed25519 ")
    row = Connection.objects.get(pk=answer.json()["id"])
    assert "OPENSSH PRIVATE KEY" in (row.secret("private_key") or "")
    assert (row.secret("private_key") or "-") not in answer.content.decode()


def test_takes_a_host_key_as_fingerprint_or_as_line(world: World) -> None:
    by_print = world.admin.post("/connections", body(name="a", host_key=FINGERPRINT)).json()
    assert by_print["host_key"] == FINGERPRINT
    by_line = world.admin.post("/connections", body(name="b", host_key=KEY_LINE)).json()
    assert by_line["host_key"].startswith("SHA256:")
    assert Connection.objects.get(pk=by_line["id"]).host_key_type == "ssh-ed25519"


def test_lists_by_name_with_limit_and_offset(world: World) -> None:
    for name in ("c", "a", "b"):
        factories.make_connection(world.team, name=name)
    answer = world.viewer.get("/connections", limit=2, offset=1).json()
    assert [item["name"] for item in answer["items"]] == ["b", "c"]
    assert answer["count"] == 4


def test_list_needs_no_query_per_machine(world: World, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        factories.make_connection(world.team)
    with django_assert_max_num_queries(5):
        assert world.viewer.get("/connections").json()["count"] == 21


def test_patch_changes_only_what_is_sent(world: World) -> None:
    before = Connection.objects.get(pk=world.machine.pk)
    before.set_secret("password", "kept")
    before.auth_method = "password"
    before.save()
    answer = world.admin.patch(f"/connections/{before.pk}", {"name": "new", "tags": ["x"]})
    assert (answer.status_code, answer.json()["name"]) == (200, "new")
    after = Connection.objects.get(pk=before.pk)
    assert after.secret("password") == "kept"
    assert (after.hostname, after.revision) == (before.hostname, before.revision)


def test_patch_of_the_address_outdates_the_session(world: World) -> None:
    row = with_password(world)
    answer = world.admin.patch(f"/connections/{row.pk}", {"port": 2222, "password": "secret"})
    assert answer.json()["port"] == 2222
    assert Connection.objects.get(pk=row.pk).revision == row.revision + 1


def test_delete_restore_within_the_trash_time(world: World) -> None:
    path = f"/connections/{world.machine.pk}"
    assert world.admin.delete(path).status_code == 204
    assert world.admin.get(path).status_code == 404
    assert world.admin.get("/connections").json()["count"] == 0
    assert world.viewer.post(f"{path}/restore").status_code == 403
    assert world.stranger.post(f"{path}/restore").status_code == 404
    assert world.admin.post(f"{path}/restore").json()["is_active"] is False
    assert world.admin.get(path).status_code == 200
    Connection.objects.update(deleted_at=timezone.now() - PERIOD)
    assert world.admin.post(f"{path}/restore").status_code == 404


def test_connect_and_disconnect_write_the_wish_who_and_when(world: World) -> None:
    path = f"/connections/{world.machine.pk}"
    answer = world.operator.post(f"{path}/connect")
    assert (answer.status_code, answer.json()["is_active"]) == (202, True)
    assert world.operator.post(f"{path}/disconnect").json()["is_active"] is False
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["connection.connect", "connection.disconnect"]
    events = world.viewer.get(f"{path}/events").json()
    assert [event["to"] for event in events["items"]] == ["disconnected", "connecting"]
    assert set(events["items"][0]) == {"at", "from", "to", "reason", "detail", "actor"}


def test_status_says_why_and_since(world: World) -> None:
    Connection.objects.update(
        status=Status.ERROR, reason="host_key_changed", offered_host_key=FINGERPRINT
    )
    answer = world.viewer.get(f"/connections/{world.machine.pk}/status").json()
    assert answer["status"] == "error"
    assert answer["reason"] == "host_key_changed"
    assert answer["connected"] is False
    assert answer["uptime_seconds"] is None
    assert answer["offered_host_key"] == FINGERPRINT
    assert set(answer) == {
        "status", "reason", "detail", "connected", "uptime_seconds", "since", "retry_at",
        "host_key", "offered_host_key",
    }  # fmt: skip


def test_uptime_counts_from_connecting(world: World) -> None:
    Connection.objects.update(
        status=Status.CONNECTED, connected_at=timezone.now() - timedelta(seconds=90)
    )
    answer = world.viewer.get(f"/connections/{world.machine.pk}").json()
    assert 89 <= answer["uptime_seconds"] <= 92


def test_accepting_a_host_key_pins_it_and_outdates_the_session(world: World) -> None:
    path = f"/connections/{world.machine.pk}"
    answer = world.admin.post(f"{path}/host-key", {"fingerprint": FINGERPRINT})
    assert answer.json()["host_key"] == FINGERPRINT
    assert Connection.objects.get(pk=world.machine.pk).revision == 2
    assert AuditEvent.objects.get().detail == {"before": "", "accepted": FINGERPRINT}


def test_jump_host_of_the_same_team(world: World) -> None:
    answer = world.admin.post("/connections", body(jump_connection_id=str(world.machine.pk)))
    assert answer.json()["jump_connection_id"] == str(world.machine.pk)
    assert world.admin.delete(f"/connections/{world.machine.pk}").status_code == 409


def test_the_site_itself_is_added_by_superusers_once(world: World) -> None:
    local = {"name": "here", "transport": "local", "team_id": str(world.team.pk)}
    assert world.admin.post("/connections", local).status_code == 403
    assert world.superuser.post("/connections", local).status_code == 201
    again = world.superuser.post("/connections", local | {"name": "again"})
    assert again.status_code == 409


# --- Refusals: three people and a token that may less than its owner -----------------------------


@pytest.mark.parametrize(
    ("method", "path", "sent", "expected"),
    [
        ("get", "", None, {"viewer": 200, "operator": 200, "admin": 200}),
        ("get", "/status", None, {"viewer": 200, "operator": 200, "admin": 200}),
        ("get", "/events", None, {"viewer": 200, "operator": 200, "admin": 200}),
        ("patch", "", {"tags": []}, {"viewer": 403, "operator": 403, "admin": 200}),
        ("post", "/connect", None, {"viewer": 403, "operator": 202, "admin": 202}),
        ("post", "/disconnect", None, {"viewer": 403, "operator": 202, "admin": 202}),
        (
            "post",
            "/host-key",
            {"fingerprint": FINGERPRINT},
            {"viewer": 403, "operator": 403, "admin": 200},
        ),
        ("delete", "", None, {"viewer": 403, "operator": 403, "admin": 204}),
    ],
)
def test_roles(world: World, method: str, path: str, sent: Any, expected: dict[str, int]) -> None:
    row = with_password(world)
    expected = expected | {"stranger": 404, "nobody": 401}
    for who in ("nobody", "stranger", "viewer", "operator", "admin"):
        send = getattr(world.client(who), method)
        arguments = (f"/connections/{row.pk}{path}",) + ((sent,) if sent is not None else ())
        answer = send(*arguments)
        assert answer.status_code == expected[who], (who, answer.content)


def test_only_administrators_add_and_only_to_their_team(world: World) -> None:
    assert world.nobody.post("/connections", body()).status_code == 401
    assert world.viewer.post("/connections", body()).status_code == 403
    assert world.operator.post("/connections", body()).status_code == 403
    to_foreign = body(team_id=str(world.team.pk))
    assert world.stranger.post("/connections", to_foreign).status_code == 404
    assert world.viewer.post("/connections", to_foreign).status_code == 403
    assert Connection.objects.count() == 1


def test_stranger_sees_an_empty_list(world: World) -> None:
    assert world.stranger.get("/connections").json() == {"items": [], "count": 0}


@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, 403), (Scope.OPERATE, 202)])
def test_token_may_no_more_than_its_scope(world: World, scope: str, status: int) -> None:
    api = Api(factories.make_token(world.owner, scope))
    assert api.post(f"/connections/{world.machine.pk}/connect").status_code == status
    assert api.patch(f"/connections/{world.machine.pk}", {"name": "x"}).status_code == 403


def test_jump_host_of_another_team_does_not_exist(world: World) -> None:
    foreign = factories.make_connection()
    answer = world.admin.post("/connections", body(jump_connection_id=str(foreign.pk)))
    assert answer.status_code == 404


def test_jump_hosts_form_no_circle(world: World) -> None:
    row = with_password(world)
    Connection.objects.filter(pk=world.machine.pk).update(jump_connection=row)
    answer = world.admin.patch(
        f"/connections/{row.pk}", {"jump_connection_id": str(world.machine.pk)}
    )
    assert (answer.status_code, fields_of(answer)) == (422, {"jump_connection_id"})
    itself = world.admin.patch(f"/connections/{row.pk}", {"jump_connection_id": str(row.pk)})
    assert itself.status_code == 422


def test_same_name_twice_in_one_team_conflicts(world: World) -> None:
    assert world.admin.post("/connections", body()).status_code == 201
    again = world.admin.post("/connections", body())
    assert (again.status_code, fields_of(again)) == (409, {"name"})
    assert world.stranger.post("/connections", body()).status_code == 201


def test_a_machine_moves_only_between_ones_own_teams(world: World) -> None:
    row = with_password(world)
    foreign = factories.make_team()
    path = f"/connections/{row.pk}"
    assert world.admin.patch(path, {"team_id": str(foreign.pk)}).status_code == 404
    factories.join(world.owner, foreign, Role.VIEWER)
    assert world.admin.patch(path, {"team_id": str(foreign.pk)}).status_code == 403
    foreign.memberships.update(role=Role.ADMINISTRATOR)
    assert world.admin.patch(path, {"team_id": str(foreign.pk)}).status_code == 200
