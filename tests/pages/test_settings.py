"""A person's settings, the trash, what the palette finds, and the version that a page asks for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import Preference, User
from connections.models import Connection, ConnectionEvent, Status
from core.soft_delete import PERIOD
from dgxsite.version import build
from tests import factories
from tests.markup import flat
from tests.pages.people import People

CHOICES = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "time_zone": "Asia/Kolkata",
    "density": "compact",
    "default_range": "7d",
    "this_machine": "on",
    "this_machine_address": "",
}


def save(client: Client, **fields: str) -> Any:
    return client.post("/account/settings", CHOICES | fields)


def test_choices_are_kept_for_the_person_alone(people: People) -> None:
    assert save(people.guest).status_code == 302
    guest = User.objects.get(username="guest")
    assert (guest.first_name, guest.last_name) == ("Ada", "Lovelace")
    assert guest.preference.time_zone == "Asia/Kolkata"
    assert not guest.preference.shortcuts
    page = people.guest.get("/").content.decode()
    assert 'data-density="compact" data-range="7d" data-shortcuts="off"' in flat(page)
    assert Preference.objects.count() == 1
    assert 'data-density="comfortable"' in people.boss.get("/").content.decode()


def test_settings_page_shows_what_is_kept(people: People) -> None:
    save(people.guest)
    page = people.guest.get("/account/settings")
    assert '<option value="Asia/Kolkata" selected>' in page.content.decode()
    assert page.context["form"].initial["density"] == "compact"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("density", "huge"),
        ("default_range", "2d"),
        ("first_name", "a" * 151),
    ],
)
def test_odd_choices_are_told_beside_their_field(people: People, field: str, value: str) -> None:
    answer = save(people.guest, **{field: value})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://Spark2.example.org/", "https://spark2.example.org"),
        (" http://[fd00::1]:8000 ", "http://[fd00::1]:8000"),
        ("http://spark2:8000", "http://spark2:8000"),
        ("", ""),
    ],
)
def test_address_is_kept_as_an_origin(people: People, typed: str, kept: str) -> None:
    assert save(people.guest, this_machine_address=typed).status_code == 302
    assert Preference.objects.get().this_machine_address == kept


@pytest.mark.parametrize(
    "typed",
    [
        "spark2",
        "ftp://spark2",
        "https://spark2/path",
        "https://user@spark2",
        "https://spark2; script-src *",
        "https://spark2 https://evil.example",
        "https://*",
        "https://spark2:99999",
        "https://spark2:0",
        "https://[zz]",
        "https://spark2\nX: y",
        "javascript://x",
    ],
)
def test_address_that_is_no_origin_is_refused(people: People, typed: str) -> None:
    answer = save(people.guest, this_machine_address=typed)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["this_machine_address"]


def test_times_are_shown_in_the_own_zone_and_said_in_utc(people: People) -> None:
    machine = factories.make_connection(people.team)
    at = datetime(2026, 11, 20, 20, 0, 0, tzinfo=UTC)
    ConnectionEvent.objects.create(
        connection=machine, at=at, from_status="connected", to_status="error", actor="x"
    )
    save(people.guest)
    page = people.guest.get(f"/machines/{machine.pk}/").content.decode()
    assert 'datetime="2026-11-20T20:00:00.000Z" title="2026-11-21 01:30:00 IST"' in flat(page)
    # The next request of somebody else is not in this person's zone.
    page = people.boss.get(f"/machines/{machine.pk}/").content.decode()
    assert 'datetime="2026-11-20T20:00:00.000Z" title="2026-11-20 20:00:00 UTC"' in flat(page)


def test_zone_that_no_longer_exists_is_utc(people: People) -> None:
    guest = User.objects.get(username="guest")
    Preference.objects.create(user=guest, time_zone="Gone/City")
    assert people.guest.get("/account/settings").status_code == 200


def test_own_machine_can_be_turned_off(people: People) -> None:
    assert 'href="/this-machine"' in people.guest.get("/").content.decode()
    save(people.guest, this_machine="")
    assert 'href="/this-machine"' not in people.guest.get("/").content.decode()
    page = people.guest.get("/this-machine")
    assert "turned this page off" in page.content.decode()
    assert "this-machine.js" not in page.content.decode()


def test_another_sites_machine_opens_the_policy_for_that_page_alone(people: People) -> None:
    save(people.guest, this_machine_address="https://spark2.example.org:8443")
    page = people.guest.get("/this-machine?gpus=2")
    policy = page.headers["Content-Security-Policy"]
    source = "connect-src 'self' https://spark2.example.org:8443 wss://spark2.example.org:8443;"
    assert source in policy
    assert page.content.decode().count("data-gpu-panel") == 2
    for path in ("/", "/account/settings"):
        policy = people.guest.get(path).headers["Content-Security-Policy"]
        assert "connect-src 'self';" in policy
    assert "spark2" not in people.boss.get("/this-machine").headers["Content-Security-Policy"]


@pytest.mark.parametrize("count", ["", "-1", "x", "²", "9" * 30])
def test_odd_numbers_of_gpus_do_no_harm(people: People, count: str) -> None:
    save(people.guest, this_machine_address="https://spark2.example.org")
    page = people.guest.get("/this-machine", {"gpus": count})
    assert page.content.decode().count("data-gpu-panel") <= 64


def test_trash_lists_what_the_person_may_restore(people: People) -> None:
    machine = factories.make_connection(people.team, name="Spark 1")
    people.boss.post(f"/machines/{machine.pk}/delete")
    page = people.boss.get("/machines/trash").content.decode()
    assert "Spark 1" in page
    for other in (people.guest, people.stranger):
        assert "Spark 1" not in other.get("/machines/trash").content.decode()
    answer = people.boss.post(f"/machines/{machine.pk}/restore")
    assert answer.status_code == 302
    assert Connection.objects.living().filter(pk=machine.pk).exists()
    assert "The trash is empty" in people.boss.get("/machines/trash").content.decode()


def test_trash_keeps_for_thirty_days(people: People) -> None:
    almost = timezone.now() - PERIOD
    minute = timedelta(minutes=1)
    factories.make_connection(people.team, name="still there", deleted_at=almost + minute)
    factories.make_connection(people.team, name="gone for good", deleted_at=almost - minute)
    page = people.boss.get("/machines/trash").content.decode()
    assert "still there" in page
    assert "gone for good" not in page


def labels(client: Client) -> list[str]:
    return [item["label"] for item in client.get("/palette").json()["items"]]


def test_palette_finds_what_the_person_may_see_and_do(people: People) -> None:
    factories.make_connection(people.team, name="Spark 1", is_active=True, status=Status.CONNECTED)
    factories.make_connection(people.team, name="Spark 2")
    assert {"Spark 1", "Disconnect Spark 1", "Connect Spark 2", "Add machine"} <= {
        *labels(people.boss)
    }
    seen = labels(people.guest)
    assert {"Spark 1", "Spark 2", "Settings"} <= {*seen}
    assert not {"Disconnect Spark 1", "Connect Spark 2", "Add machine", "Administration"} & {*seen}
    assert not [label for label in labels(people.stranger) if "Spark" in label]


def test_every_page_of_the_palette_is_there(people: People) -> None:
    for item in people.boss.get("/palette").json()["items"]:
        assert people.boss.get(item["href"]).status_code == 200, item


@pytest.mark.parametrize("path", ["/palette", "/version", "/machines/trash", "/account/settings"])
def test_nobody_gets_them_without_a_login(db: None, client: Client, path: str) -> None:
    assert client.get(path).headers["Location"].startswith("/accounts/login/")


def test_page_and_version_name_the_same_build(people: People) -> None:
    assert people.guest.get("/version").json() == {"build": build()}
    assert f'data-build="{build()}"' in people.guest.get("/").content.decode()


def test_refusal_names_the_role_and_who_grants_it(people: People) -> None:
    answer = people.guest.get("/machines/add")
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "administrator" in page
    assert "can grant it" in page


def test_missing_page_offers_the_search_to_who_is_logged_in(people: People) -> None:
    assert "data-palette" in people.guest.get("/nothing").content.decode()
    answer = Client().get("/nothing")
    assert answer.status_code == 404
    assert "data-palette" not in answer.content.decode()


FOREIGN = "https://other.example.org"


@override_settings(CORS_ORIGINS=[FOREIGN])
def test_named_origin_may_read_this_machine_and_nothing_else(people: People) -> None:
    answer = people.guest.get("/api/metrics", headers={"Origin": FOREIGN})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == FOREIGN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]
    for path in ("/api/v1/connections", "/api/health", "/", "/palette"):
        answer = people.guest.get(path, headers={"Origin": FOREIGN})
        assert "Access-Control-Allow-Origin" not in answer.headers


@override_settings(CORS_ORIGINS=[FOREIGN])
def test_named_origin_still_needs_a_login(db: None) -> None:
    answer = Client().get("/api/metrics", headers={"Origin": FOREIGN})
    assert answer.status_code == 401


@override_settings(CORS_ORIGINS=[FOREIGN])
def test_preflight_lets_a_token_through(db: None) -> None:
    asked = {"Origin": FOREIGN, "Access-Control-Request-Method": "GET"}
    answer = Client().options("/api/metrics", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization"


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ([], FOREIGN),
        ([FOREIGN], "https://other.example.org.evil.example"),
        ([FOREIGN], "http://other.example.org"),
        ([FOREIGN], "null"),
        ([FOREIGN], ""),
        (["*"], "https://evil.example"),
    ],
)
def test_other_origins_get_no_leave(people: People, origins: list[str], origin: str) -> None:
    with override_settings(CORS_ORIGINS=origins):
        answer = people.guest.get("/api/metrics", headers={"Origin": origin})
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = people.guest.options("/api/metrics", headers=asked)
    for one in (answer, preflight):
        assert "Access-Control-Allow-Origin" not in one.headers
        assert "Access-Control-Allow-Credentials" not in one.headers


def test_audit_says_utc_and_shows_it_whatever_the_persons_zone(people: People) -> None:
    save(people.boss)
    machine = factories.make_connection(people.team)
    people.boss.post(f"/machines/{machine.pk}/connect")
    page = people.boss.get("/audit/").content.decode()
    found = re.search(r'<time datetime="(\S+)T(\S+)\.\d+Z">(\S+) (\S+)</time>', flat(page))
    assert found is not None
    assert (found[1], found[2]) == (found[3], found[4])
