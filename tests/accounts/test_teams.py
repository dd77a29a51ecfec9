"""Teams: invited by a link that works once, roles, leaving, and looking at one of several."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Invitation, Membership, Role, Team, User
from accounts.policy import Caller
from accounts.teams import invitations
from core.errors import Conflict, NotFound
from tests import factories
from tests.accounts.people import client_of
from tests.waiting import until

PASSWORD = "a-long-Passw0rd-x"


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team("lab")


@pytest.fixture
def boss(team: Team) -> Client:
    user = factories.make_user("boss")
    factories.join(user, team, Role.ADMINISTRATOR)
    return client_of(user)


def link_in(answer: Any) -> str:
    found = re.search(r"http://testserver(/join/[\w-]{43})", answer.content.decode())
    assert found is not None
    return found[1]


def invite(boss: Client, team: Team, **fields: str) -> str:
    answer = boss.post(f"/teams/{team.pk}/invitations", {"role": "operator"} | fields)
    assert answer.status_code == 200
    return link_in(answer)


def test_a_link_lets_one_person_with_an_account_join(boss: Client, team: Team) -> None:
    path = invite(boss, team)
    assert path.rpartition("/")[2] not in str(list(Invitation.objects.values()))
    assert path not in boss.get(f"/teams/{team.pk}/").content.decode()
    first, second = factories.make_user("first"), factories.make_user("second")
    assert "Join as first" in client_of(first).get(path).content.decode()
    assert client_of(first).post(path).headers["Location"] == f"/teams/{team.pk}/"
    assert team.memberships.get(user=first).role == Role.OPERATOR
    assert client_of(second).get(path).status_code == 404
    assert client_of(second).post(path).status_code == 404
    assert not team.memberships.filter(user=second).exists()
    assert AuditEvent.objects.filter(action="invitation.accept", team=team).count() == 1


def test_a_link_makes_an_account(boss: Client, team: Team) -> None:
    path = invite(boss, team, email="new@example.org")
    guest = Client()
    assert "I have an account" in guest.get(path).content.decode()
    wrong = guest.post(path, {"username": "boss", "password": PASSWORD})
    assert wrong.status_code == 422
    wrong = guest.post(path, {"username": "newcomer", "password": "short"})
    assert wrong.context["form"].errors["password"]
    assert not User.objects.filter(username="newcomer").exists()
    answer = guest.post(path, {"username": "newcomer", "password": PASSWORD})
    assert answer.headers["Location"] == "/"
    user = User.objects.get(username="newcomer")
    assert (user.email, user.is_staff, user.is_superuser) == ("", False, False)
    address = EmailAddress.objects.get(user=user)
    assert (address.email, address.verified) == ("new@example.org", False)
    until(lambda: any("/accounts/confirm-email/" in one.body for one in mail.outbox))
    assert team.memberships.get(user=user).role == Role.OPERATOR
    assert guest.get("/").status_code == 200
    assert Client().get(path).status_code == 404


def test_a_member_does_not_use_up_a_link(boss: Client, team: Team) -> None:
    path = invite(boss, team)
    assert "already" in boss.post(path, follow=True).content.decode()
    assert Client().get(path).status_code == 200
    assert team.memberships.get().role == Role.ADMINISTRATOR


def test_an_invitation_is_sent_by_mail(boss: Client, team: Team, settings: Any) -> None:
    path = invite(boss, team, email="new@example.org")
    until(lambda: bool(mail.outbox), seconds=10)
    assert mail.outbox[0].to == ["new@example.org"]
    assert f"http://testserver{path}" in mail.outbox[0].body


def test_old_and_withdrawn_links_do_not_work(boss: Client, team: Team) -> None:
    path = invite(boss, team)
    row = Invitation.objects.get()
    boss.post(f"/teams/{team.pk}/invitations/{row.pk}/revoke")
    assert Client().get(path).status_code == 404
    path = invite(boss, team)
    Invitation.objects.update(expires_at=timezone.now())
    assert Client().get(path).status_code == 404
    newcomer = Caller(factories.make_user())
    with pytest.raises(NotFound):
        invitations.accept(newcomer, path.rpartition("/")[2])
    assert "None." in boss.get(f"/teams/{team.pk}/").content.decode()


@pytest.mark.parametrize("secret", ["", "x", "a" * 1000, "%00", "%ff", "..", "\u00e9"])
def test_an_odd_link_is_not_there(db: None, secret: str) -> None:
    assert Client().get(f"/join/{secret}").status_code == 404


def test_a_viewer_sees_members_and_no_controls(boss: Client, team: Team) -> None:
    viewer = factories.make_user("viewer")
    factories.join(viewer, team)
    page = client_of(viewer).get(f"/teams/{team.pk}/").content.decode()
    assert "boss" in page
    assert "Invite by link" not in page
    assert "Remove" not in page


def test_roles_are_changed_and_members_removed(boss: Client, team: Team) -> None:
    other = factories.make_user("other")
    boss.post(f"/teams/{team.pk}/members", {"person": "other", "role": "viewer"})
    boss.post(f"/teams/{team.pk}/members/{other.pk}/role", {"role": "operator"})
    assert team.memberships.get(user=other).role == Role.OPERATOR
    boss.post(f"/teams/{team.pk}/members/{other.pk}/remove")
    assert not team.memberships.filter(user=other).exists()
    wrong = boss.post(f"/teams/{team.pk}/members", {"person": "nobody"}, follow=True)
    assert "This field is required" in wrong.content.decode()


def test_the_last_administrator_cannot_leave(boss: Client, team: Team) -> None:
    answer = boss.post(f"/teams/{team.pk}/leave", follow=True)
    assert "last administrator" in answer.content.decode()
    other = factories.make_user()
    factories.join(other, team, Role.ADMINISTRATOR)
    assert boss.post(f"/teams/{team.pk}/leave").headers["Location"] == "/teams/"
    assert [member.user for member in team.memberships.all()] == [other]


def test_a_team_gets_another_name_that_no_other_has(boss: Client, team: Team) -> None:
    factories.make_team("taken")
    boss.post(f"/teams/{team.pk}/rename", {"name": "renamed"})
    team.refresh_from_db()
    assert team.name == "renamed"
    for name in ("taken", "", "x\u202ey", "a" * 101):
        boss.post(f"/teams/{team.pk}/rename", {"name": name})
        team.refresh_from_db()
        assert team.name == "renamed"


def test_superusers_make_teams(db: None) -> None:
    root = client_of(factories.make_user("root", is_superuser=True))
    root.post("/teams/", {"name": "new"})
    assert Membership.objects.get(team__name="new").role == Role.ADMINISTRATOR
    again = root.post("/teams/", {"name": "new"}, follow=True)
    assert "already a team" in again.content.decode()


def test_a_person_in_two_teams_looks_at_one(boss: Client, team: Team) -> None:
    second, foreign = factories.make_team("second"), factories.make_team("foreign")
    user = User.objects.get(username="boss")
    factories.make_connection(team, name="in-the-lab")
    factories.make_connection(second, name="in-second")
    assert "All teams" not in boss.get("/").content.decode()
    factories.join(user, second)
    page = boss.get("/").content.decode()
    assert "All teams" in page
    assert "in-the-lab" in page
    assert "in-second" in page
    boss.post("/teams/choose", {"team": str(second.pk)})
    page = boss.get("/").content.decode()
    assert "in-the-lab" not in page
    assert "in-second" in page
    assert boss.post("/teams/choose", {"team": str(foreign.pk)}).status_code == 404
    assert boss.post("/teams/choose", {"team": "x"}).status_code == 404
    Membership.objects.filter(team=second).delete()
    assert "in-the-lab" in boss.get("/").content.decode()
    boss.post("/teams/choose", {"team": ""})
    assert "in-the-lab" in boss.get("/").content.decode()


def test_a_superuser_deletes_a_team_by_typing_its_name(boss: Client, team: Team) -> None:
    path, name = f"/teams/{team.pk}/delete", {"name": "lab"}
    stranger = client_of(factories.make_user("stranger"))
    assert (boss.post(path, name).status_code, stranger.post(path, name).status_code) == (403, 404)
    root = client_of(factories.make_user("root", is_superuser=True))
    assert "Delete this team" not in boss.get(f"/teams/{team.pk}/").content.decode()
    assert "Delete this team" in root.get(f"/teams/{team.pk}/").content.decode()
    wrong = root.post(path, {"name": "Lab"}, follow=True)
    assert "not the name of this team" in wrong.content.decode()
    assert Team.objects.filter(pk=team.pk).exists()
    assert root.post(path, name).headers["Location"] == "/teams/"
    assert not Team.objects.filter(pk=team.pk).exists()
    assert not Membership.objects.filter(team_id=team.pk).exists()
    event = AuditEvent.objects.get(action="team.delete")
    assert (event.object_name, event.detail) == ("lab", {"members": 1})
    assert "team.delete" in root.get("/audit/").content.decode()
    assert boss.get("/").status_code == 200


@pytest.mark.parametrize("in_trash", [False, True])
def test_a_team_with_machines_stays(team: Team, in_trash: bool) -> None:
    deleted_at = timezone.now() if in_trash else None
    factories.make_connection(team, deleted_at=deleted_at)
    root = client_of(factories.make_user("root", is_superuser=True))
    answer = root.post(f"/teams/{team.pk}/delete", {"name": "lab"}, follow=True)
    assert "still has 1 machine" in answer.content.decode()
    assert Team.objects.filter(pk=team.pk).exists()
    assert not AuditEvent.objects.filter(action="team.delete").exists()


def test_a_machine_moves_to_another_team(boss: Client, team: Team) -> None:
    second, user = factories.make_team("second"), User.objects.get(username="boss")
    factories.join(user, second, Role.ADMINISTRATOR)
    for each in (team, second):
        factories.open_server_key(each)
    machine = factories.make_connection(team, auth_method="agent")
    fields = {
        "name": machine.name,
        "hostname": machine.hostname,
        "port": "22",
        "username": "ml",
        "auth_method": "agent",
        "key_source": "keep",
        "team_id": str(second.pk),
        "ollama_port": "11434",
    }
    answer = boss.post(f"/machines/{machine.pk}/edit", fields)
    assert answer.status_code == 302
    machine.refresh_from_db()
    assert machine.team == second


@pytest.mark.django_db(transaction=True)
def test_one_link_used_twice_at_once_lets_one_in() -> None:
    team, boss = factories.make_team(), factories.make_user()
    factories.join(boss, team, Role.ADMINISTRATOR)
    _, secret = invitations.create(Caller(boss), team.pk, Role.VIEWER)
    callers = [Caller(factories.make_user()) for _ in range(6)]
    start = Barrier(len(callers))

    def use(caller: Caller) -> bool:
        start.wait(10)
        try:
            invitations.accept(caller, secret)
        except NotFound:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(len(callers)) as pool:
        assert sum(pool.map(use, callers)) == 1
    assert team.memberships.count() == 2
    assert AuditEvent.objects.filter(action="invitation.accept").count() == 1


def test_a_member_keeps_the_role_and_the_link(team: Team) -> None:
    boss, member = factories.make_user(), factories.make_user()
    factories.join(boss, team, Role.ADMINISTRATOR)
    factories.join(member, team, Role.VIEWER)
    _, secret = invitations.create(Caller(boss), team.pk, Role.ADMINISTRATOR)
    with pytest.raises(Conflict):
        invitations.accept(Caller(member), secret)
    assert team.memberships.get(user=member).role == Role.VIEWER
    assert invitations.find(secret) is not None
