"""What people gave ends with their right to give it: the table of docs/access.md, line by line."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, AuditEvent, Invitation, Role, Scope, Team, User
from accounts.policy import Caller
from accounts.signin.oidc import _person_with
from accounts.teams import invitations
from accounts.teams import services as teams_services
from connections.models import Connection
from core.errors import Forbidden, NotFound, SiteError
from dgxsite.sockets import access as sockets_access
from exports import queue as exports
from exports import schedules
from exports.models import Export, State
from jobs import lifecycle as jobs_lifecycle
from jobs import services as jobs
from jobs.models import Job, Status
from jobs.queue import gpu_alerts
from jobs.queue import grant as queue_grant
from jobs.queue.devices import Device
from notifications import events
from notifications.delivery import sender
from notifications.models import Delivery, DeliveryStatus, Event, Notification
from tests import factories
from tests.exports.files import make_export, make_schedule
from tests.jobs.rows import make_job, make_project
from tests.live.people import log_in, with_session, with_token
from tests.undone import undone

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "access.md"
PASSWORD = "a-long-Passw0rd-x"


@dataclass(frozen=True)
class Room:
    """A team, its machine, somebody who gives, and the superuser who takes rights away."""

    team: Team
    machine: Connection
    giver: User
    root: Caller

    @property
    def caller(self) -> Caller:
        return Caller(self.giver)

    def again(self) -> User:
        return User.objects.get(pk=self.giver.pk)


@pytest.fixture
def room() -> Room:
    team = factories.make_team("lab")
    giver = factories.make_user("giver", email="giver@example.org")
    factories.join(giver, team, Role.ADMINISTRATOR)
    factories.join(factories.make_user("other"), team, Role.ADMINISTRATOR)
    root = factories.make_user("root", is_superuser=True)
    return Room(team, factories.make_connection(team, name="spark"), giver, Caller(root))


# --- What takes a right away ------------------------------------------------------------------


def removed(room: Room) -> None:
    teams_services.remove_member(room.root, room.team.pk, room.giver.pk)


def demoted(room: Room) -> None:
    teams_services.change_member(room.root, room.team.pk, room.giver.pk, Role.VIEWER)


def switched_off(room: Room) -> None:
    teams_services.set_active(room.root, room.giver.pk, active=False)


def deleted(room: Room) -> None:
    User.objects.get(pk=room.giver.pk).delete()


def behind_the_services(room: Room) -> None:
    """By hand in the database: only what is asked at use can tell."""
    room.team.memberships.filter(user=room.giver).update(role=Role.VIEWER)


def token_revoked(room: Room) -> None:
    for token in ApiToken.objects.filter(user=room.giver, made_with=None, revoked_at=None):
        tokens.revoke(Caller(room.giver), token.pk)


ROLE = (removed, demoted, behind_the_services)
MEMBERSHIP = (removed,)
ACCOUNT = (switched_off, deleted)
TOKEN = (token_revoked,)
Loss = Callable[[Room], None]


# --- What is given: makes it, and hands back how to use it. The use says what is wrong, or "". --

Use = Callable[[], str]


def raised(call: Callable[[], Any]) -> str:
    """The refusal in words; "" if there was none. What the call did is undone."""
    with undone():
        try:
            call()
        except SiteError as error:
            return error.detail
    return ""


def token_of(room: Room, **fields: Any) -> Caller:
    secret = factories.make_token(room.giver, Scope.ADMIN, **fields)
    token = ApiToken.find(secret)
    assert token is not None
    return Caller(room.giver, token)


def answer(path: str, secret: str) -> str:
    status = Client().get(path, headers={"Authorization": f"Bearer {secret}"}).status_code
    return "" if status == 200 else str(status)


def an_invitation(room: Room) -> Use:
    caller = token_of(room)
    _, secret = invitations.create(caller, room.team.pk, Role.ADMINISTRATOR)
    path = reverse("join", args=[secret])
    guest = Caller(factories.make_user("guest"))

    def use() -> str:
        page = Client().get(path)
        shown = "may invite no more" if page.status_code == 404 else ""
        assert page.status_code == 200 or shown in page.content.decode()
        said = raised(lambda: invitations.accept(guest, secret))
        new = raised(lambda: invitations.accept_as_new(secret, "new", PASSWORD, None))
        assert bool(said) == bool(new) == bool(shown)
        return said

    return use


def a_token(room: Room) -> Use:
    secret = factories.make_token(room.giver)
    return lambda: answer("/api/v1/connections", secret)


def a_token_made_with_a_token(room: Room) -> Use:
    first = token_of(room)
    second, _ = tokens.create(first, "second", "admin", None)
    _, secret = tokens.create(Caller(room.giver, second), "third", "admin", None)
    return lambda: answer("/api/v1/connections", secret)


def a_revoked_token_that_can_be_brought_back(room: Room) -> Use:
    """Its maker goes here; that somebody else revoked it is tested below."""
    row, _ = tokens.create(token_of(room), "second", "admin", None)
    tokens.revoke(room.caller, row.pk)
    client = Client()
    client.force_login(room.giver)

    def use() -> str:
        client.post(f"/account/tokens/{row.pk}/restore")
        is_back = ApiToken.objects.filter(pk=row.pk, revoked_at=None).exists()
        if is_back:
            tokens.revoke(room.caller, row.pk)
        return "" if is_back else "it stays revoked"

    return use


def a_kept_answer(room: Room) -> Use:
    factories.make_token(room.giver)
    client = Client()
    client.force_login(room.giver)
    path = f"/api/v1/teams/{room.team.pk}/invitations"

    def use() -> str:
        told = client.post(
            path, "{}", content_type="application/json", headers={"Idempotency-Key": "once"}
        )
        assert told.status_code == 201 or "link" not in told.json()
        return "" if told.status_code == 201 else told.json()["code"]

    return use


def a_login(room: Room) -> Use:
    client = Client()
    client.post("/accounts/login/", {"login": "giver", "password": "password"})

    def use() -> str:
        return "" if client.get("/").status_code == 200 else "to the login"

    return use


def a_socket(room: Room) -> Use:
    """By session and by token; the role's loss is in test_revocation, over the real server."""
    secret = factories.make_token(room.giver)
    found = [
        sockets_access.admit({"headers": headers})
        for headers in (with_session(log_in(room.giver)), with_token(secret))
    ]
    principals = [one[0] for one in found if one is not None]
    assert len(principals) == 2

    def use() -> str:
        standing = sockets_access.standing(principals)
        teams = [standing.get(one, frozenset()) for one in principals]
        by_token = [one for one in principals if one.token_id is not None]
        is_out = room.team.pk not in teams[principals.index(by_token[0])]
        return "it is closed" if is_out else ""

    return use


def a_link_that_resets_a_password(room: Room) -> Use:
    key = default_token_generator.make_token(room.giver)
    uid = user_pk_to_url_str(room.giver)

    def use() -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": key})
        return "" if Client().get(path).status_code == 302 else "bad link"

    return use


def a_link_that_verifies_an_address(room: Room) -> Use:
    """A link for each use, since one counts once."""
    addresses = ["one@example.org", "two@example.org"]
    rows = [EmailAddress.objects.create(user=room.giver, email=one) for one in addresses]
    keys = [EmailConfirmationHMAC(row).key for row in rows]

    def use() -> str:
        Client().post(reverse("account_confirm_email", args=[keys.pop()]))
        found = EmailAddress.objects.filter(email=addresses.pop(), verified=True)
        return "" if found.exists() else "not verified"

    return use


def a_login_by_the_provider_or_a_passkey(room: Room) -> Use:
    """Whom a verified address stands for; tests/signin follows both to the page."""
    return lambda: "" if _person_with({"giver@example.org"}) else "nobody"


def _queued(room: Room, **fields: Any) -> Job:
    return make_job(make_project(room.machine), requested_by=room.giver, **fields)


def _starts(job: Job) -> str:
    with undone():
        queue_grant.grant(job.connection_id, 0, lambda rules: [Device("0", "GPU 0", None)])
        row = Job.objects.get(pk=job.pk)
    if row.status == Status.STARTING:
        return ""
    return row.waiting_reason or row.detail


def a_job_that_waits(room: Room) -> Use:
    job = _queued(room)
    return lambda: _starts(job)


def the_next_try_of_a_job(room: Room) -> Use:
    job = _queued(room, max_retries=2)
    job.move(Status.STARTING, "test", granted=[])
    job.move(Status.RUNNING, "test", started_at=timezone.now())

    def use() -> str:
        with undone():
            row = Job.objects.get(pk=job.pk)
            if row.max_retries == 0:
                return "Who asked for it is gone: no try is made."
            new = jobs_lifecycle.copy_of(row)
            jobs_lifecycle.enqueue_new(new, "dgxsite", "Try 2 of 3.")
            return _starts(new)

    return use


def an_export_that_waits(room: Room) -> Use:
    fields = {"kind": "range", "range": "24h", "format": "csv", "requested_by": room.giver}
    rows = [make_export(room.machine, state=State.WAITING, local_ok=None, **fields) for _ in "12"]

    def use() -> str:
        row = rows.pop()
        others = Export.objects.exclude(pk=row.pk).filter(state=State.WAITING)
        held = [one.pk for one in others]
        others.update(state=State.RUNNING)
        exports.run()
        Export.objects.filter(pk__in=held).update(state=State.WAITING)
        return "" if Export.objects.get(pk=row.pk).state == State.DONE else _why(row)

    return use


def _why(row: Export) -> str:
    return Export.objects.get(pk=row.pk).local_error


def a_schedule_of_exports(room: Room) -> Use:
    row = make_schedule(room.machine, created_by=room.giver)

    def use() -> str:
        with undone():
            made = schedules.queue_due(timezone.now() + timedelta(seconds=1))
        page = Client()
        page.force_login(room.root.user)
        seen = page.get("/exports/?show=schedules").content.decode()
        assert ("may no longer" in seen) == (made == 0)
        row.refresh_from_db()
        return "" if made else row.objection or "without a reason"

    return use


def a_wish_to_hear_of_a_free_gpu(room: Room) -> Use:
    gpu_alerts.create_alert(room.caller, room.machine.pk, 0)

    def use() -> str:
        with undone():
            gpu_alerts.notify_waiting(room.machine.pk, lambda rules: [Device("0", "GPU 0", None)])
            told = Notification.objects.filter(user_id=room.giver.pk).exists()
        return "" if told else "nothing is told"

    return use


def news_and_mail_that_wait(room: Room) -> Use:
    event = Event.objects.create(team=room.team, kind="test", severity="info", title="News")
    row = Delivery.objects.create(event=event, user=room.giver)

    def use() -> str:
        with undone():
            found = sender.claim(timezone.now() + timedelta(seconds=1))
            if found is None:
                return "it is gone"
            sender.work(found)
            row.refresh_from_db()
        return row.detail if row.status == DeliveryStatus.DROPPED else ""

    return use


# By the name in docs/access.md: what ends it.
KINDS: dict[str, tuple[Callable[[Room], Use], tuple[Loss, ...]]] = {
    "an invitation": (an_invitation, (*ROLE, *ACCOUNT, *TOKEN)),
    "a token": (a_token, ACCOUNT),
    "a token made with a token": (a_token_made_with_a_token, (*ACCOUNT, *TOKEN)),
    "a revoked token that can be brought back": (
        a_revoked_token_that_can_be_brought_back,
        (*ACCOUNT, *TOKEN),
    ),
    "a kept answer (`Idempotency-Key`)": (a_kept_answer, (*ROLE, *ACCOUNT)),
    "a login (session, remembered browser)": (a_login, ACCOUNT),
    "a socket": (a_socket, (*MEMBERSHIP, *ACCOUNT, *TOKEN)),
    "a link that resets a password": (a_link_that_resets_a_password, ACCOUNT),
    "a link that verifies an address": (a_link_that_verifies_an_address, ACCOUNT),
    "a login by the provider or a passkey": (a_login_by_the_provider_or_a_passkey, ACCOUNT),
    "a job that waits": (a_job_that_waits, (*ROLE, *ACCOUNT)),
    "the next try of a job": (the_next_try_of_a_job, (*ROLE, *ACCOUNT)),
    "an export that waits": (an_export_that_waits, (*ROLE, *ACCOUNT)),
    "a schedule of exports": (a_schedule_of_exports, (*ROLE, *ACCOUNT)),
    "a wish to hear of a free GPU": (a_wish_to_hear_of_a_free_gpu, (*MEMBERSHIP, *ACCOUNT)),
    "news and mail that wait": (news_and_mail_that_wait, (*MEMBERSHIP, *ACCOUNT)),
}
_CASES = [
    pytest.param(name, loss, id=f"{name}: {loss.__name__}")
    for name, (_, losses) in KINDS.items()
    for loss in losses
]


@pytest.mark.parametrize(("name", "loss"), _CASES)
def test_what_was_given_ends_with_the_right_to_give_it(
    room: Room, name: str, loss: Loss, tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path
    use = KINDS[name][0](room)
    assert use() == "", "it works as long as its giver may"
    loss(room)
    assert use() != ""


def test_the_document_names_each_kind_and_no_other() -> None:
    part = DOCUMENT.read_text().split("## What was given")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", part, re.MULTILINE)
    assert rows[1:] == list(KINDS)


# --- The right comes back, what was given does not ---------------------------------------------


def test_invitations_and_logins_stay_ended_when_the_right_is_given_back(room: Room) -> None:
    _, secret = invitations.create(room.caller, room.team.pk, Role.VIEWER)
    use = a_login(room)
    switched_off(room)
    teams_services.set_active(room.root, room.giver.pk, active=True)
    assert invitations.find(secret) is None
    assert use() != ""
    _, secret = invitations.create(room.caller, room.team.pk, Role.VIEWER)
    demoted(room)
    teams_services.change_member(room.root, room.team.pk, room.giver.pk, Role.ADMINISTRATOR)
    assert invitations.find(secret) is None
    assert not Session.objects.exists()
    rows = AuditEvent.objects.filter(action="invitation.revoke", actor=room.root.user)
    assert [row.detail["giver"] for row in rows] == ["giver", "giver"]


def test_other_peoples_invitations_and_other_teams_stay(room: Room) -> None:
    elsewhere = factories.make_team("elsewhere")
    factories.join(room.giver, elsewhere, Role.ADMINISTRATOR)
    _, theirs = invitations.create(room.root, room.team.pk, Role.VIEWER)
    _, there = invitations.create(room.caller, elsewhere.pk, Role.VIEWER)
    removed(room)
    assert invitations.find(theirs) is not None
    assert invitations.find(there) is not None
    assert Invitation.objects.filter(revoked_at=None).count() == 2


def test_an_operator_takes_a_held_job_over(room: Room) -> None:
    job = _queued(room)
    removed(room)
    queue_grant.grant(job.connection_id, 0, lambda rules: [])
    job.refresh_from_db()
    assert job.waiting_reason == (
        "giver may no longer start jobs here. An operator who starts it takes it over."
    )
    client = Client()
    client.force_login(room.root.user)
    assert "Take over" in client.get(f"/jobs/{job.pk}/").content.decode()
    other = Caller(User.objects.get(username="other"))
    assert jobs.start(other, job.pk).requested_by == other.user
    assert _starts(job) == ""


def test_whoever_brings_a_schedule_back_answers_for_it(room: Room) -> None:
    row = make_schedule(room.machine, created_by=room.giver)
    removed(room)
    other = Caller(User.objects.get(username="other"))
    schedules.delete(other, row.pk)
    assert schedules.restore(other, row.pk).created_by == other.user
    row.refresh_from_db()
    assert row.objection is None


# --- Tokens ------------------------------------------------------------------------------------


def test_a_token_makes_none_that_outlives_it(room: Room) -> None:
    day = token_of(room, days=1)
    assert day.token is not None
    made, _ = tokens.create(day, "same", "admin", None)
    assert made.expires_at == day.token.expires_at
    for days in (2, 3650):
        with pytest.raises(SiteError, match="outlives it"):
            tokens.create(day, "longer", "admin", days)
    _, secret = invitations.create(day, room.team.pk, Role.VIEWER)
    found = invitations.find(secret)
    assert found is not None
    assert found.expires_at == day.token.expires_at
    endless = token_of(room)
    assert tokens.create(endless, "endless", "read", None)[0].expires_at is None


def test_a_token_of_a_smaller_scope_makes_nothing(room: Room) -> None:
    for scope in (Scope.READ, Scope.OPERATE):
        token = ApiToken.find(factories.make_token(room.giver, scope))
        for wanted in Scope.values:
            with pytest.raises(Forbidden):
                tokens.create(Caller(room.giver, token), "more", wanted, None)


def test_who_brings_a_token_back_has_revoked_it(room: Room) -> None:
    row = ApiToken.objects.get(digest=ApiToken.digest_of(factories.make_token(room.giver)))
    tokens.revoke(room.root, row.pk)
    for caller in (room.caller, room.root):
        with pytest.raises(NotFound):
            tokens.restore(caller, row.pk)


def test_a_short_token_does_not_read_what_a_lasting_one_was_answered(room: Room) -> None:
    headers = {"Idempotency-Key": "once"}
    wanted: dict[str, Any] = {
        "data": '{"name": "ci", "scope": "admin"}',
        "content_type": "application/json",
    }
    lasting, short = factories.make_token(room.giver), factories.make_token(room.giver, days=1)
    path = "/api/v1/tokens"
    bearer = {"Authorization": f"Bearer {lasting}"}
    assert Client().post(path, **wanted, headers=headers | bearer).status_code == 201
    bearer = {"Authorization": f"Bearer {short}"}
    told = Client().post(path, **wanted, headers=headers | bearer)
    assert (told.status_code, "token" in told.json()) == (409, False)


def test_news_are_made_for_nobody_who_left(room: Room) -> None:
    removed(room)
    with undone():
        events.notify(room.team, "recovered", "News", "")
    assert not Notification.objects.filter(user=room.giver).exists()
