"""Channels and notifications over the REST API: who may, what is masked, what is refused."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import AuditEvent, Role, Scope
from notifications.events import notify
from notifications.models import Channel
from tests import factories
from tests.api.client import Api, fields_of
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import WebServer

HOOK = {"name": "hook", "kind": "webhook", "url": "https://192.0.2.1/secret-path?token=abc"}


def api(user: Any, scope: str = Scope.ADMIN) -> Api:
    return Api(factories.make_token(user, scope))


def test_a_channel_is_made_and_shown_masked(crew: Crew) -> None:
    answer = api(crew.boss).post("/notification-channels", HOOK | {"secret": "s3cret"})
    assert answer.status_code == 201
    shown = answer.json()
    assert shown["url"] == "https://192.0.2.1/…"
    assert shown["secret"] == "••••••••"
    assert shown["team_id"] == str(crew.team.pk)
    everything = answer.content + api(crew.boss).get("/notification-channels").content
    for secret in (b"secret-path", b"token=abc", b"s3cret"):
        assert secret not in everything
    row = Channel.objects.get()
    assert (row.secret("url"), row.secret("secret")) == (HOOK["url"], "s3cret")
    assert "secret-path" not in row.url_encrypted
    assert AuditEvent.objects.filter(action="channel.create", object_id=str(row.pk)).exists()


def test_a_secret_that_is_made_here_is_shown_once(crew: Crew) -> None:
    shown = api(crew.boss).post("/notification-channels", HOOK).json()
    assert shown["secret"] == Channel.objects.get().secret("secret")
    assert len(shown["secret"]) >= 32
    (listed,) = api(crew.boss).get("/notification-channels").json()["items"]
    assert listed["secret"] == "••••••••"


def test_a_chat_channel_is_checked_by_its_service(crew: Crew) -> None:
    boss = api(crew.boss)
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
    made = boss.post("/notification-channels", {"name": "slack", "url": slack})
    assert made.status_code == 201
    assert made.json() | {"url": "slack://…", "kind": "apprise"} == made.json()
    wrong = boss.post("/notification-channels", {"name": "other", "url": "slack://too-short"})
    assert wrong.status_code == 422
    assert fields_of(wrong) == {"url"}


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("webhook", "http://127.0.0.1/"),
        ("webhook", "http://169.254.169.254/latest/meta-data/"),
        ("webhook", "http://[::ffff:127.0.0.1]/"),
        ("webhook", "http://2130706433/"),
        ("webhook", "http://localhost:6379/"),
        ("webhook", "ftp://192.0.2.1/"),
        ("webhook", "https://"),
        ("webhook", "https://user:password@192.0.2.1/"),
        ("webhook", "https://192.0.2.1:99999/"),
        ("webhook", "https://192.0.2.1/a b"),
        ("webhook", "https://192.0.2.1/\r\nX: y"),
        ("apprise", "mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz"),
        ("apprise", "ntfy://localhost/topic"),
        ("apprise", "gotify://[::1]/abcdefghijklmno"),
        ("apprise", "file:///etc/passwd"),
        ("apprise", "syslog://"),
        ("apprise", "dbus://"),
        ("apprise", "json://192.0.2.1/"),
        ("apprise", "https://192.0.2.1/"),
        ("apprise", "mmost://192.0.2.1:0x/a"),
        ("apprise", "slack"),
    ],
)
def test_a_wrong_or_forbidden_address_is_refused_at_once(crew: Crew, kind: str, url: str) -> None:
    body = {"name": "x", "kind": kind, "url": url}
    answer = api(crew.boss).post("/notification-channels", body)
    assert answer.status_code == 422, answer.content
    assert fields_of(answer) == {"url"}
    assert not Channel.objects.exists()


def test_an_address_is_judged_again_when_it_changes(crew: Crew) -> None:
    channel = make_channel(crew.team, "https://192.0.2.1/")
    boss = api(crew.boss)
    path = f"/notification-channels/{channel.pk}"
    assert boss.patch(path, {"url": "http://127.0.0.1/"}).status_code == 422
    assert boss.patch(path, {"kind": "apprise"}).status_code == 422
    changed = boss.patch(path, {"name": "new", "events": ["unreachable"]})
    assert changed.json()["events"] == ["unreachable"]
    channel.refresh_from_db()
    assert (channel.name, channel.secret("url")) == ("new", "https://192.0.2.1/")
    assert boss.patch(path, {"events": ["no such kind"]}).status_code == 422


def test_two_channels_of_one_name_conflict(crew: Crew) -> None:
    boss = api(crew.boss)
    assert boss.post("/notification-channels", HOOK).status_code == 201
    again = boss.post("/notification-channels", HOOK)
    assert again.status_code == 409
    assert fields_of(again) == {"name"}


@pytest.mark.parametrize(
    ("person", "one", "many"),
    [("operator", 403, 403), ("viewer", 403, 403), ("stranger", 404, 200)],
)
def test_channels_are_for_administrators(crew: Crew, person: str, one: int, many: int) -> None:
    channel = make_channel(crew.team, "https://192.0.2.1/")
    client = api(getattr(crew, person))
    path = f"/notification-channels/{channel.pk}"
    listed = client.get("/notification-channels")
    assert listed.status_code == many
    assert many == 403 or listed.json()["items"] == []
    body = HOOK | {"team_id": str(crew.team.pk)}
    assert client.post("/notification-channels", body).status_code == one
    assert client.patch(path, {"name": "mine"}).status_code == one
    assert client.delete(path).status_code == one
    assert client.post(f"{path}/test").status_code == one
    assert client.get(f"{path}/deliveries").status_code == one
    assert Channel.objects.count() == 1


@pytest.mark.parametrize("scope", [Scope.READ, Scope.OPERATE])
def test_a_small_token_of_an_administrator_manages_no_channel(crew: Crew, scope: str) -> None:
    channel = make_channel(crew.team, "https://192.0.2.1/")
    client = api(crew.boss, scope)
    assert client.get("/notification-channels").status_code == 403
    assert client.post("/notification-channels", HOOK).status_code == 403
    assert client.delete(f"/notification-channels/{channel.pk}").status_code == 403


def test_without_a_login_nothing_is_told(crew: Crew) -> None:
    for path in ("/notifications", "/notification-channels"):
        assert Api(None).get(path).status_code == 401


def test_a_test_is_sent_and_its_outcome_told(crew: Crew, web: WebServer, loopback: None) -> None:
    channel = make_channel(crew.team, web.url(), secret="s3cret")
    boss = api(crew.boss)
    path = f"/notification-channels/{channel.pk}/test"
    assert boss.post(path).json() == {"ok": True, "detail": "The receiver answered 200."}
    web.answer = lambda number: 404
    assert boss.post(path).json() == {"ok": False, "detail": "The receiver answered 404."}
    assert len(web.requests) == 2


def test_tests_are_limited(crew: Crew, web: WebServer, loopback: None, redis_client: Any) -> None:
    channel = make_channel(crew.team, web.url())
    boss = api(crew.boss)
    path = f"/notification-channels/{channel.pk}/test"
    assert [boss.post(path).status_code for _ in range(25)].count(429) >= 5


def test_a_person_reads_their_own_list(crew: Crew) -> None:
    first = notify(crew.team, "unreachable", "first", link="/machines/x/", subject=crew.team)
    notify(crew.team, "recovered", "second")
    assert first is not None
    viewer = api(crew.viewer)
    listed = viewer.get("/notifications").json()
    assert [item["title"] for item in listed["items"]] == ["second", "first"]
    assert (listed["count"], listed["unread"]) == (2, 2)
    assert listed["items"][1]["id"] == str(first.pk)
    assert listed["items"][1]["object"] == {"type": "accounts.team", "id": str(crew.team.pk)}
    assert viewer.post("/notifications/read", {"ids": [str(first.pk)]}).json() == {"unread": 1}
    left = viewer.get("/notifications", unread="true").json()
    assert [item["title"] for item in left["items"]] == ["second"]
    assert viewer.post("/notifications/read", {"all": True}).json() == {"unread": 0}
    assert api(crew.boss).get("/notifications").json()["unread"] == 2
    assert api(crew.stranger).get("/notifications").json()["items"] == []


def test_marking_as_read_names_what(crew: Crew) -> None:
    viewer = api(crew.viewer)
    assert viewer.post("/notifications/read", {}).status_code == 422
    both = {"ids": [str(uuid4())], "all": True}
    assert viewer.post("/notifications/read", both).status_code == 422
    assert viewer.post("/notifications/read", {"ids": [str(uuid4())]}).json() == {"unread": 0}
    assert (
        api(crew.viewer, Scope.READ).post("/notifications/read", {"all": True}).status_code == 403
    )


def test_the_log_of_a_channel_shows_its_tries(crew: Crew, web: WebServer, loopback: None) -> None:
    channel = make_channel(crew.team, web.url())
    notify(crew.team, "unreachable", "spark is out of reach")
    path = f"/notification-channels/{channel.pk}/deliveries"
    (row,) = api(crew.boss).get(path).json()["items"]
    assert (row["status"], row["tries"]) == ("pending", [])


def test_someone_administering_two_teams_says_which(crew: Crew) -> None:
    other = factories.make_team()
    factories.join(crew.boss, other, Role.ADMINISTRATOR)
    answer = api(crew.boss).post("/notification-channels", HOOK | {"team_id": str(other.pk)})
    assert answer.json()["team_id"] == str(other.pk)
