"""The pages: the list, the choices, the channels."""

import pytest
from django.test import Client

from notifications import preferences
from notifications.events import notify
from notifications.kinds import Way
from notifications.models import Channel, Notification, QuietHours
from tests.markup import flat
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import WebServer
from tests.pages.people import client_of

pytestmark = pytest.mark.usefixtures("redis_client")


def test_the_bell_counts_and_the_list_shows(crew: Crew) -> None:
    notify(crew.team, "unreachable", "spark <b>is out</b> of reach", link="/account/")
    page = client_of(crew.viewer).get("/notifications/").content.decode()
    assert 'data-unread="1"' in page
    assert "spark &lt;b&gt;is out&lt;/b&gt; of reach" in page
    other = client_of(crew.stranger).get("/notifications/").content.decode()
    assert "spark" not in other
    assert "Nothing yet" in other


def test_opening_marks_as_read_and_goes_there(crew: Crew) -> None:
    event = notify(crew.team, "unreachable", "spark is out of reach", link="/account/")
    assert event is not None
    answer = client_of(crew.viewer).post(f"/notifications/{event.pk}/open")
    assert answer.headers["Location"] == "/account/"
    unread = {row.user for row in Notification.objects.filter(read_at=None)}
    assert unread == {crew.boss, crew.operator}
    assert client_of(crew.stranger).post(f"/notifications/{event.pk}/open").status_code == 404


def test_all_can_be_marked_as_read(crew: Crew) -> None:
    for number in range(3):
        notify(crew.team, "unreachable", f"machine {number} is out of reach")
    client_of(crew.viewer).post("/notifications/read")
    assert Notification.objects.filter(user=crew.viewer, read_at=None).count() == 0
    assert Notification.objects.filter(user=crew.boss, read_at=None).count() == 3


def test_who_left_the_team_sees_its_notifications_no_more(crew: Crew) -> None:
    notify(crew.team, "unreachable", "spark is out of reach")
    crew.viewer.memberships.all().delete()
    assert b"spark" not in client_of(crew.viewer).get("/notifications/").content


def test_choices_are_kept(crew: Crew) -> None:
    client = client_of(crew.viewer)
    answer = client.post(
        "/notifications/choices",
        {
            "wish": ["unreachable.email"],
            "starts": "22:00",
            "ends": "07:00",
        },
    )
    assert answer.status_code == 302
    line = {line.kind.name: line for line in preferences.lines(crew.viewer)}["unreachable"]
    assert (line.page, line.email) == (False, True)
    assert str(QuietHours.objects.get(user=crew.viewer)) == "22:00 to 07:00"
    page = flat(client.get("/notifications/choices").content.decode())
    assert 'value="unreachable.email" checked' in page


def test_half_of_quiet_hours_is_refused(crew: Crew) -> None:
    answer = client_of(crew.viewer).post("/notifications/choices", {"starts": "22:00", "ends": ""})
    assert answer.status_code == 422
    assert b"Give both times, or none." in answer.content
    assert not QuietHours.objects.exists()


def test_an_administrator_adds_tests_and_deletes_a_channel(
    crew: Crew, web: WebServer, loopback: None
) -> None:
    client = client_of(crew.boss)
    made = client.post(
        "/notifications/channels",
        {"name": "hook", "kind": "webhook", "url": web.url(), "events": ["unreachable"]},
    )
    assert made.status_code == 200
    channel = Channel.objects.get()
    secret = channel.secret("secret")
    assert secret is not None
    assert secret in made.content.decode()
    page = client.get(f"/notifications/channels/{channel.pk}").content.decode()
    assert secret not in page
    assert "/hook" not in page
    assert client.post(f"/notifications/channels/{channel.pk}/test").status_code == 302
    assert len(web.requests) == 1
    client.post(f"/notifications/channels/{channel.pk}/delete")
    assert not Channel.objects.exists()


def test_saving_a_channel_as_shown_keeps_address_and_secret(crew: Crew) -> None:
    channel = make_channel(crew.team, "https://192.0.2.1/token", secret="s3cret")
    channel.shown_url = "https://192.0.2.1/…"
    channel.save()
    shown = {"url": channel.shown_url, "secret": "••••••••", "kind": "webhook", "name": "new"}
    answer = client_of(crew.boss).post(f"/notifications/channels/{channel.pk}", shown)
    assert answer.status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret("url")) == ("new", "https://192.0.2.1/token")
    assert channel.secret("secret") == "s3cret"
    assert not channel.choices.filter(wanted=True).exists()


@pytest.mark.parametrize(
    ("person", "status"), [("operator", 403), ("viewer", 403), ("stranger", 404)]
)
def test_only_administrators_of_the_team_reach_a_channel(
    crew: Crew, person: str, status: int
) -> None:
    channel = make_channel(crew.team, "https://192.0.2.1/token")
    client = client_of(getattr(crew, person))
    address = f"/notifications/channels/{channel.pk}"
    assert client.get(address).status_code == status
    assert client.post(f"{address}/test").status_code == status
    assert client.post(f"{address}/delete").status_code == status
    assert Channel.objects.exists()


def test_a_stranger_to_the_site_is_sent_to_the_login(db: None) -> None:
    for path in ("", "choices", "channels"):
        assert Client().get(f"/notifications/{path}").headers["Location"].startswith("/accounts/")


def test_the_admin_never_shows_a_secret(crew: Crew) -> None:
    crew.boss.is_staff = crew.boss.is_superuser = True
    crew.boss.save()
    channel = make_channel(crew.team, "https://192.0.2.1/hidden-token", secret="s3cret")
    client = client_of(crew.boss)
    address = f"/admin/notifications/channel/{channel.pk}/change/"
    page = client.get(address)
    assert page.status_code == 200
    assert b"hidden-token" not in page.content
    assert b"s3cret" not in page.content
    client.post(address, {"name": "renamed", "kind": "webhook", "secret": "another"})
    channel.refresh_from_db()
    assert (channel.name, channel.secret("secret")) == ("renamed", "another")
    refused = client.post(address, {"name": "x", "kind": "webhook", "url": "http://127.0.0.1/"})
    assert b"Loopback addresses are not allowed" in refused.content
    for model in ("event", "delivery"):
        assert client.get(f"/admin/notifications/{model}/").status_code == 200


def test_choosing_a_way_for_oneself_alone(crew: Crew) -> None:
    preferences.choose(crew.viewer, {("unreachable", Way.PAGE): False})
    page = {line.kind.name: line.page for line in preferences.lines(crew.boss)}
    assert page["unreachable"]
