"""Teams, members, people, tokens and the audit trail over the REST API."""

from typing import Any

import pytest
from django.contrib.auth import authenticate

from accounts.models import ApiToken, AuditEvent, Role, Scope, Team, User
from tests import factories
from tests.api.client import Api, fields_of
from tests.api.conftest import World

# --- Tokens --------------------------------------------------------------------------------------


def test_a_new_token_works_and_its_secret_is_shown_once(world: World) -> None:
    answer = world.admin.post("/tokens", {"name": "ci", "days": 7})
    assert answer.status_code == 201
    created = answer.json()
    assert created["scope"] == "read"
    assert Api(created["token"]).get("/connections").status_code == 200
    listed = world.admin.get("/tokens")
    assert created["token"] not in listed.content.decode()
    assert "token" not in listed.json()["items"][0]
    assert created["token"] not in str(list(ApiToken.objects.values()))


def test_a_revoked_token_is_gone_at_once(world: World) -> None:
    created = world.admin.post("/tokens", {"name": "ci"}).json()
    assert world.admin.delete(f"/tokens/{created['id']}").status_code == 204
    assert Api(created["token"]).get("/connections").status_code == 401
    assert created["id"] not in {item["id"] for item in world.admin.get("/tokens").json()["items"]}
    assert world.admin.delete(f"/tokens/{created['id']}").status_code == 404


def test_tokens_of_others_do_not_exist(world: World) -> None:
    token = world.owner.api_tokens.get()
    assert world.stranger.delete(f"/tokens/{token.pk}").status_code == 404
    assert world.viewer.delete(f"/tokens/{token.pk}").status_code == 404
    assert world.superuser.delete(f"/tokens/{token.pk}").status_code == 204


@pytest.mark.parametrize("scope", [Scope.READ, Scope.OPERATE])
def test_a_weak_token_makes_no_other(world: World, scope: str) -> None:
    weak = Api(factories.make_token(world.owner, scope))
    assert weak.post("/tokens", {"name": "stronger", "scope": "admin"}).status_code == 403
    assert (
        weak.delete(f"/tokens/{world.owner.api_tokens.latest('created_at').pk}").status_code == 403
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "scope": "root"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 10**6},
        {"name": "x", "days": "7"},
        {"name": "x", "days": True},
        {"name": "x", "user_id": 1},
    ],
)
def test_odd_tokens_are_refused(world: World, body: dict[str, Any]) -> None:
    assert world.admin.post("/tokens", body).status_code == 422


# --- Teams and members ---------------------------------------------------------------------------


def test_everybody_sees_their_own_teams_and_role(world: World) -> None:
    for name, role in (("admin", "administrator"), ("viewer", "viewer")):
        teams = world.client(name).get("/teams").json()["items"]
        assert [(team["id"], team["role"]) for team in teams] == [(str(world.team.pk), role)]
    assert world.superuser.get("/teams").json()["count"] == Team.objects.count()


def test_superusers_make_teams(world: World) -> None:
    assert world.admin.post("/teams", {"name": "lab"}).status_code == 403
    answer = world.superuser.post("/teams", {"name": "lab"})
    assert (answer.status_code, answer.json()["role"]) == (201, "administrator")
    again = world.superuser.post("/teams", {"name": "lab"})
    assert (again.status_code, fields_of(again)) == (409, {"name"})


def test_members_are_seen_by_members_and_managed_by_administrators(world: World) -> None:
    path = f"/teams/{world.team.pk}/members"
    person = factories.make_user("newcomer", email="new@example.org")
    assert world.viewer.get(path).json()["count"] == 3
    for who, status in (("nobody", 401), ("stranger", 404), ("viewer", 403), ("operator", 403)):
        assert world.client(who).post(path, {"username": "newcomer"}).status_code == status
    assert world.stranger.get(path).status_code == 404
    answer = world.admin.post(path, {"email": "NEW@example.org", "role": "operator"})
    assert (answer.status_code, answer.json()["role"]) == (201, "operator")
    assert world.admin.post(path, {"username": "newcomer"}).status_code == 409
    changed = world.admin.patch(f"{path}/{person.pk}", {"role": "viewer"})
    assert changed.json()["role"] == "viewer"
    assert world.admin.delete(f"{path}/{person.pk}").status_code == 204
    assert world.admin.delete(f"{path}/{person.pk}").status_code == 404
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["member.add", "member.change", "member.remove"]


def test_who_leaves_a_team_sees_its_machines_no_more(world: World) -> None:
    viewer = User.objects.get(memberships__team=world.team, memberships__role=Role.VIEWER)
    assert world.viewer.get("/connections").json()["count"] == 1
    world.admin.delete(f"/teams/{world.team.pk}/members/{viewer.pk}")
    assert world.viewer.get("/connections").json()["count"] == 0
    assert world.viewer.get(f"/connections/{world.machine.pk}").status_code == 404


def test_the_last_administrator_stays(world: World) -> None:
    path = f"/teams/{world.team.pk}/members/{world.owner.pk}"
    assert world.admin.delete(path).status_code == 409
    assert world.admin.patch(path, {"role": "viewer"}).status_code == 409
    factories.join(factories.make_user(), world.team, Role.ADMINISTRATOR)
    assert world.admin.patch(path, {"role": "viewer"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a", "email": "b"},
        {"username": "nobody-of-this-name"},
        {"email": ""},
        {"username": "x", "role": "king"},
        {"username": 1},
    ],
)
def test_odd_members_are_refused(world: World, body: dict[str, Any]) -> None:
    assert world.admin.post(f"/teams/{world.team.pk}/members", body).status_code == 422


@pytest.mark.parametrize("user_id", ["0", "-1", "abc", str(2**31), str(10**30), "%00"])
def test_an_id_nobody_has_is_not_there(world: World, user_id: str) -> None:
    path = f"/teams/{world.team.pk}/members/{user_id}"
    assert world.admin.patch(path, {"role": "viewer"}).status_code == 404
    assert world.admin.delete(path).status_code == 404
    assert world.superuser.patch(f"/users/{user_id}", {"is_active": True}).status_code == 404


# --- People --------------------------------------------------------------------------------------


def test_superusers_make_people_who_can_log_in(world: World) -> None:
    body = {"username": "grace", "email": "grace@example.org", "password": "a-long-Passw0rd-x"}
    assert world.admin.post("/users", body).status_code == 403
    assert world.admin.get("/users").status_code == 403
    answer = world.superuser.post("/users", body)
    assert answer.status_code == 201
    assert "assw0rd" not in answer.content.decode()
    assert authenticate(username="grace", password="a-long-Passw0rd-x") is not None
    assert world.superuser.get("/users").json()["count"] == User.objects.count()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"username": "new", "password": "short"}, 422, "password"),
        ({"username": "two words"}, 422, "username"),
        ({"username": "x" * 151}, 422, "username"),
        ({"username": "new", "email": "no-address"}, 422, "email"),
        ({"username": "TAKEN"}, 409, "username"),
        ({"username": "new", "email": "Taken@example.org"}, 409, "email"),
        ({"username": "new", "is_superuser": True}, 422, "is_superuser"),
    ],
)
def test_odd_people_are_refused(
    world: World, body: dict[str, Any], status: int, field: str
) -> None:
    factories.make_user("taken", email="taken@example.org")
    answer = world.superuser.post("/users", body)
    assert (answer.status_code, fields_of(answer)) == (status, {field})


def test_disabling_a_person_ends_their_tokens(world: World) -> None:
    path = f"/users/{world.owner.pk}"
    assert world.admin.patch(path, {"is_active": False}).status_code == 403
    assert world.superuser.patch(path, {"is_active": False}).json()["is_active"] is False
    assert world.admin.get("/connections").status_code == 401
    world.superuser.patch(path, {"is_active": True})
    assert world.admin.get("/connections").status_code == 200


def test_the_last_superuser_stays(world: World) -> None:
    superuser = User.objects.get(is_superuser=True)
    path = f"/users/{superuser.pk}"
    assert world.superuser.patch(path, {"is_active": False}).status_code == 409
    factories.make_user(is_superuser=True)
    assert world.superuser.patch(path, {"is_active": False}).status_code == 200


# --- Audit ---------------------------------------------------------------------------------------


def test_the_audit_trail_is_for_administrators_of_the_team(world: World) -> None:
    world.admin.post(f"/connections/{world.machine.pk}/connect")
    AuditEvent.objects.create(actor_name="x", action="site.first_start")
    mine = world.admin.get("/audit").json()
    assert [item["action"] for item in mine["items"]] == ["connection.connect"]
    assert mine["items"][0]["actor"] == world.owner.username
    assert mine["items"][0]["token"] == "test"
    assert mine["items"][0]["address"] == "127.0.0.1"
    assert world.superuser.get("/audit").json()["count"] == 2
    assert world.stranger.get("/audit").json()["count"] == 0
    assert world.viewer.get("/audit").status_code == 403
    assert world.operator.get("/audit").status_code == 403
    weak = Api(factories.make_token(world.owner, Scope.READ))
    assert weak.get("/audit").status_code == 403


def test_two_requests_for_one_name_at_once_conflict(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one looked before the first one wrote."""
    factories.make_user("taken")
    monkeypatch.setattr("accounts.teams.services._check_free", lambda user: None)
    assert world.superuser.post("/users", {"username": "taken"}).status_code == 409
