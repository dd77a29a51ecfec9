"""The pages about machines, without a browser: who sees them, and what they say."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from connections.explanations import EXPLANATIONS
from connections.models import Connection, ConnectionEvent, Reason, Status
from metrics.live.store import Recorder
from tests import factories
from tests.browser import scenes
from tests.pages.people import People

PAGES = ("machine", "connection_edit")
POSTS = (
    "connection_connect",
    "connection_disconnect",
    "connection_host_key",
    "connection_delete",
    "connection_restore",
    "connection_test",
)


def text(answer: Any) -> str:
    return str(answer.content.decode())


def record(machine: Connection, sample: Any) -> None:
    recorder = Recorder()
    recorder.add(machine.pk, machine.team_id, 1, sample)
    recorder.flush({machine.pk: 1})


def test_overview_lists_the_teams_machines_with_their_last_readings(people: People) -> None:
    machine = factories.make_connection(people.team, name="Spark 1", status=Status.CONNECTED)
    record(machine, scenes.spark(0))
    page = text(people.guest.get("/"))
    assert "Spark 1" in page
    assert "55\u00a0%" in page
    assert "70.0 / 119.7\u00a0GiB" in page
    assert "mara, ollama" in page


def test_overview_hides_other_teams_machines(people: People) -> None:
    factories.make_connection(people.team, name="Spark 1")
    page = text(people.stranger.get("/"))
    assert "Spark 1" not in page
    assert "No machines yet" in page


@pytest.mark.parametrize("path", ["/", "/this-machine", "/account/", "/machines/add"])
def test_pages_send_the_unknown_to_the_login(db: None, client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("name", PAGES)
def test_stranger_finds_no_page_of_the_machine(people: People, name: str) -> None:
    machine = factories.make_connection(people.team)
    assert people.stranger.get(reverse(name, args=[machine.pk])).status_code == 404
    assert people.boss.get(reverse(name, args=[uuid4()])).status_code == 404


@pytest.mark.parametrize("name", POSTS)
def test_stranger_finds_nothing_to_act_on(people: People, name: str) -> None:
    machine = factories.make_connection(people.team)
    answer = people.stranger.post(reverse(name, args=[machine.pk]), {"fingerprint": "x"})
    assert answer.status_code == 404
    machine.refresh_from_db()
    assert not machine.is_active
    assert machine.deleted_at is None


@pytest.mark.parametrize("name", ["connection_connect", "connection_delete", "connection_host_key"])
def test_viewers_posts_change_nothing_and_say_why(people: People, name: str) -> None:
    machine = factories.make_connection(people.team)
    fingerprint = {"fingerprint": "SHA256:" + "A" * 43}
    answer = people.guest.post(reverse(name, args=[machine.pk]), fingerprint, follow=True)
    assert "Your role does not allow this" in text(answer)
    machine.refresh_from_db()
    assert (machine.is_active, machine.deleted_at, machine.host_key) == (False, None, "")


def test_viewer_may_not_open_the_forms(people: People) -> None:
    machine = factories.make_connection(people.team)
    for path in ("/machines/add", f"/machines/{machine.pk}/edit"):
        answer = people.guest.get(path)
        assert answer.status_code == 403
        assert "administrator" in text(answer)


def test_posts_need_the_csrf_token(people: People) -> None:
    machine = factories.make_connection(people.team)
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.make_user(is_superuser=True))
    assert client.post(f"/machines/{machine.pk}/connect").status_code == 403


def test_connect_without_javascript_returns_to_the_machine(people: People) -> None:
    machine = factories.make_connection(people.team)
    answer = people.boss.post(f"/machines/{machine.pk}/connect")
    assert answer.headers["Location"] == f"/machines/{machine.pk}/?tab=connection"
    machine.refresh_from_db()
    assert machine.is_active


def test_connect_with_htmx_answers_the_wish(people: People) -> None:
    machine = factories.make_connection(people.team)
    answer = people.boss.post(f"/machines/{machine.pk}/connect", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert f'"id": "{machine.pk}", "is_active": true' in answer.headers["HX-Trigger"]


def test_delete_offers_undo_and_undo_brings_it_back(people: People) -> None:
    machine = factories.make_connection(people.team, name="Spark 1", auto_connect=False)
    answer = people.boss.post(f"/machines/{machine.pk}/delete", follow=True)
    assert "Spark 1 was moved to the trash." in text(answer)
    assert "Spark 1" not in text(people.guest.get(f"/?deleted={machine.pk}"))
    answer = people.boss.post(f"/machines/{machine.pk}/restore", follow=True)
    assert "Spark 1 is back." in text(answer)
    machine.refresh_from_db()
    assert machine.deleted_at is None


@pytest.mark.parametrize("deleted", ["", "x", "00000000-0000-4000-8000-000000000000"])
def test_odd_undo_links_are_ignored(people: People, deleted: str) -> None:
    assert people.boss.get("/", {"deleted": deleted}).status_code == 200


@pytest.mark.parametrize("reason", Reason.values)
def test_each_reason_is_explained(people: People, reason: str) -> None:
    machine = factories.make_connection(
        people.team,
        status=Status.ERROR,
        reason=reason,
        detail="the machine's own words",
        offered_host_key="SHA256:" + "B" * 43,
    )
    page = text(people.guest.get(f"/machines/{machine.pk}/"))
    assert EXPLANATIONS[reason].remedy.replace("'", "&#x27;") in page
    assert "the machine&#x27;s own words" in page


def test_unknown_host_key_is_shown_and_only_administrators_may_accept(people: People) -> None:
    offered = "SHA256:" + "B" * 43
    machine = factories.make_connection(
        people.team, status=Status.ERROR, reason=Reason.HOST_KEY_UNKNOWN, offered_host_key=offered
    )
    path = f"/machines/{machine.pk}/"
    assert "Accept this key and connect" in text(people.boss.get(path))
    assert offered in text(people.guest.get(path))
    assert "Accept this key and connect" not in text(people.guest.get(path))
    people.boss.post(f"{path}host-key", {"fingerprint": offered})
    machine.refresh_from_db()
    assert machine.host_key == offered
    assert machine.is_active


def test_history_shows_the_last_twenty_events(people: People) -> None:
    machine = factories.make_connection(people.team)
    for number in range(25):
        ConnectionEvent.objects.create(
            connection=machine,
            from_status="disconnected",
            to_status="connecting",
            detail=f"event number {number:02}",
            actor="somebody",
        )
    page = text(people.guest.get(f"/machines/{machine.pk}/"))
    assert page.count("event number") == 20
    assert "event number 24" in page


def test_secrets_never_come_back_in_a_page(people: People) -> None:
    machine = factories.make_connection(people.team, auth_method="password")
    machine.set_secret("password", "canary-password")
    machine.set_secret("private_key", "canary-key")
    machine.save()
    for path in ("?tab=connection", "?tab=metrics", "edit"):
        assert "canary" not in text(people.boss.get(f"/machines/{machine.pk}/{path}"))


def test_metrics_say_what_is_unified_and_what_is_not_reported(people: People) -> None:
    spark = factories.make_connection(people.team, status=Status.CONNECTED)
    server = factories.make_connection(people.team, status=Status.CONNECTED)
    record(spark, scenes.spark(0))
    record(server, scenes.server(0))
    page = text(people.guest.get(f"/machines/{spark.pk}/?tab=metrics"))
    assert "unified memory" in page
    assert "limit not reported" in page
    page = text(people.guest.get(f"/machines/{server.pk}/?tab=metrics&gpu=7"))
    assert "not reported by this GPU" in page


@pytest.mark.parametrize("gpu", ["", "all", "99", "-1", "x", "<b>"])
def test_odd_gpu_choices_show_all(people: People, gpu: str) -> None:
    machine = factories.make_connection(people.team, status=Status.CONNECTED)
    record(machine, scenes.server(0))
    page = people.guest.get(f"/machines/{machine.pk}/", {"tab": "metrics", "gpu": gpu})
    assert text(page).count("data-gpu-panel=") == 8


def test_old_sample_is_marked_stale(people: People) -> None:
    machine = factories.make_connection(people.team, status=Status.CONNECTED)
    record(machine, scenes.spark(0, now=datetime.now(UTC) - timedelta(seconds=30)))
    assert "data-stale" in text(people.guest.get(f"/machines/{machine.pk}/?tab=metrics"))
    record(machine, scenes.spark(0))
    page = text(people.guest.get(f"/machines/{machine.pk}/?tab=metrics"))
    assert "data-stale" not in page


def test_pages_stand_while_redis_holds_nothing(people: People) -> None:
    machine = factories.make_connection(people.team, status=Status.CONNECTED)
    page = text(people.guest.get(f"/machines/{machine.pk}/?tab=metrics"))
    assert "No readings yet" in page


@pytest.mark.parametrize("count", [1, 40])
def test_overview_asks_the_database_as_often_for_many_machines(
    people: People, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        factories.make_connection(people.team, tags=["a"], last_connected_at=timezone.now())
    with django_assert_num_queries(12):
        people.guest.get("/")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["alpha", "beta", "gamma"]),
        ("?state=error", ["beta"]),
        ("?tag=lab", ["alpha", "gamma"]),
        ("?q=BET", ["beta"]),
        ("?sort=name&dir=desc", ["gamma", "beta", "alpha"]),
        ("?sort=gpu", ["gamma", "alpha", "beta"]),
        ("?sort=gpu&dir=desc", ["alpha", "gamma", "beta"]),
        ("?state=nonsense&sort=nonsense&page=nonsense", ["alpha", "beta", "gamma"]),
        ("?page=99", ["alpha", "beta", "gamma"]),
    ],
)
def test_overview_filters_and_sorts_by_its_address(
    people: People, query: str, names: list[str]
) -> None:
    alpha = factories.make_connection(
        people.team, name="alpha", tags=["lab"], status=Status.CONNECTED
    )
    factories.make_connection(people.team, name="beta", status=Status.ERROR)
    gamma = factories.make_connection(
        people.team, name="gamma", tags=["lab"], status=Status.CONNECTED
    )
    record(alpha, scenes.spark(9))
    record(gamma, scenes.spark(0))
    page = people.guest.get(f"/{query}")
    assert [line.connection.name for line in page.context["page"]] == names


def test_every_role_of_several_teams_counts_for_its_machines(people: People) -> None:
    both = factories.make_user("both")
    other = factories.make_team()
    factories.join(both, people.team, Role.VIEWER)
    factories.join(both, other, Role.OPERATOR)
    factories.make_connection(people.team, name="seen")
    factories.make_connection(other, name="operated")
    client = Client()
    client.force_login(both)
    lines = {line.connection.name: line for line in client.get("/").context["page"]}
    assert not lines["seen"].may_operate
    assert lines["operated"].may_operate
