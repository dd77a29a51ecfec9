"""The Alerts page and its forms, without a browser."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Role
from alerts import estimates
from alerts.models import Alert, AlertRule
from alerts.suggestions import SUGGESTIONS
from notifications.events import notify
from notifications.models import Channel, Delivery
from tests import factories
from tests.alerts.conftest import Crew, Scene, make_rule
from tests.markup import flat

# The same in every process of a run: it becomes part of a test's name.
NOBODYS = UUID("7f2f3f0e-0a5b-4c57-9d3e-1f5d2b8c9a10")

FORM = {
    "name": "Hot",
    "where": "",
    "metric": "gpu_temperature_c",
    "comparison": ">",
    "threshold": "80",
    "and_metric": "",
    "and_comparison": ">",
    "hold": "5",
    "hold_unit": "60",
    "clear_margin": "2",
}


def client(user: Any) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def text_of(answer: Any) -> str:
    content: bytes = answer.content
    return content.decode()


def test_a_newcomer_is_offered_rules_and_enables_one(crew: Crew) -> None:
    browser = client(crew.operator)
    page = text_of(browser.get("/alerts/"))
    for suggestion in SUGGESTIONS:
        assert suggestion.name in page
    answer = browser.post("/alerts/rules/suggested", {"key": "power_fault"}, follow=True)
    rule = AlertRule.objects.get()
    assert (rule.metric, rule.and_metric, rule.threshold) == (
        "gpu_sm_clock_mhz",
        "gpu_percent",
        1400,
    )
    assert "On any machine, when GPU clock is below 1\u2009400\u00a0MHz and" in text_of(answer)
    assert "GB10 power fault</h3>" not in text_of(answer).split("Suggested rules")[1]


@pytest.mark.parametrize("suggestion", SUGGESTIONS, ids=lambda one: one.key)
def test_every_suggestion_is_a_rule(crew: Crew, suggestion: Any) -> None:
    client(crew.operator).post("/alerts/rules/suggested", {"key": suggestion.key})
    assert AlertRule.objects.get().name == suggestion.name


def test_a_viewer_reads_and_is_told_what_is_missing(crew: Crew) -> None:
    make_rule(crew.team, name="Too hot")
    page = text_of(client(crew.viewer).get("/alerts/"))
    assert "Too hot" in page
    assert "needs operator" in page
    assert "/delete" not in page
    assert client(crew.viewer).get("/alerts/rules/add").status_code == 403


def test_the_form_makes_a_rule_and_shows_it_again(crew: Crew) -> None:
    machine = factories.make_connection(crew.team, name="Spark 1")
    channel = Channel.objects.create(team=crew.team, name="ops", shown_url="x")
    browser = client(crew.operator)
    sent = FORM | {
        "where": f"machine:{machine.pk}",
        "gpu": "0",
        "and_metric": "gpu_percent",
        "and_threshold": "50",
        "channel_ids": [str(channel.pk)],
    }
    answer = browser.post("/alerts/rules/add", sent)
    assert answer.status_code == 302
    rule = AlertRule.objects.get()
    assert (rule.connection, rule.gpu, rule.for_seconds) == (machine, 0, 300)
    assert (rule.and_metric, rule.and_threshold) == ("gpu_percent", 50.0)
    assert list(rule.channels.all()) == [channel]
    shown = browser.get(f"/alerts/rules/{rule.pk}").context["form"]
    assert (shown["hold"].value(), shown["hold_unit"].value()) == (5, 60)
    assert shown["where"].value() == f"machine:{machine.pk}"
    browser.post(f"/alerts/rules/{rule.pk}", sent | {"threshold": "70", "where": ""})
    rule.refresh_from_db()
    assert (rule.threshold, rule.connection) == (70.0, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"threshold": "hot"}, "threshold"),
        ({"where": f"machine:{NOBODYS}"}, "where"),
        ({"metric": "cpu_percent", "gpu": "1"}, "gpu"),
        ({"hold": "1000", "hold_unit": "3600"}, "hold"),
        ({"and_metric": "gpu_percent", "and_threshold": ""}, "and_threshold"),
        ({"metric": "not_seen_seconds", "comparison": "<"}, "metric"),
    ],
    ids=str,
)
def test_an_error_stands_at_its_field(crew: Crew, change: dict[str, str], field: str) -> None:
    answer = client(crew.operator).post("/alerts/rules/add", FORM | change)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not AlertRule.objects.exists()


def test_snoozed_switched_off_deleted_and_brought_back(crew: Crew) -> None:
    rule = make_rule(crew.team, created_by=crew.operator)
    browser = client(crew.operator)
    browser.post(f"/alerts/rules/{rule.pk}/snooze", {"hours": "4"})
    rule.refresh_from_db()
    assert rule.snoozed_until is not None
    assert rule.snoozed_until - timezone.now() > timedelta(hours=3.9)
    browser.post(f"/alerts/rules/{rule.pk}/snooze", {"hours": "0"})
    browser.post(f"/alerts/rules/{rule.pk}/switch", {"enabled": "0"})
    now = AlertRule.objects.get()
    assert now.snoozed_until is None
    assert not now.enabled
    answer = browser.post(f"/alerts/rules/{rule.pk}/delete", follow=True)
    assert "data-undo" in text_of(answer)
    assert "Deleted rules" in text_of(answer)
    browser.post(f"/alerts/rules/{rule.pk}/restore")
    assert AlertRule.objects.living().count() == 1


def test_nonsense_to_snooze_for_is_told(crew: Crew) -> None:
    rule = make_rule(crew.team, created_by=crew.operator)
    browser = client(crew.operator)
    for hours in ("", "x", "-1", "99999", "9000"):
        answer = browser.post(f"/alerts/rules/{rule.pk}/snooze", {"hours": hours}, follow=True)
        assert "toast-error" in text_of(answer)


def test_what_fires_stands_first_until_it_is_acknowledged(crew: Crew, scene: Scene) -> None:
    make_rule(scene.team)
    scene.read(scene.machine(name="Spark 1"), scene.sample(90))
    browser = client(crew.operator)
    page = text_of(browser.get("/alerts/"))
    assert "GPU temperature is 90\u00a0°C" in page
    assert "<title>1 ⚠ · Alerts" in page
    assert "<title> 1 ⚠ · Machines" in flat(text_of(browser.get("/")))
    path = f"/alerts/{Alert.objects.get().pk}/acknowledge"
    assert client(crew.viewer).post(path).status_code == 403
    answer = browser.post(path, headers={"HX-Request": "true"})
    assert "acknowledged by" in text_of(answer)
    assert "<title>Alerts" in text_of(browser.get("/alerts/"))


def test_the_machines_page_says_what_fires_there(crew: Crew, scene: Scene) -> None:
    make_rule(scene.team)
    one, other = scene.machine(), scene.machine()
    scene.read(one, scene.sample(90))
    estimates.keep({one.pk: 240.0})
    browser = client(crew.viewer)
    page = text_of(browser.get(f"/machines/{one.pk}/?tab=metrics"))
    assert "about 4 minutes left" in page
    assert "GPU temperature is 90" in page
    assert "left</b>" not in text_of(browser.get(f"/machines/{other.pk}/"))
    part = browser.get(f"/alerts/machines/{one.pk}")
    assert "about 4 minutes left" in text_of(part)
    assert client(crew.stranger).get(f"/alerts/machines/{one.pk}").status_code == 404


def test_the_page_costs_the_same_for_one_and_for_many(
    crew: Crew, scene: Scene, django_assert_max_num_queries: Any
) -> None:
    machine = scene.machine()
    channel = Channel.objects.create(team=crew.team, name="ops", shown_url="x")
    for number in range(12):
        make_rule(scene.team, name=f"rule {number}").channels.add(channel)
    scene.read(machine, scene.sample(90))
    browser = client(crew.boss)
    browser.get("/alerts/")
    with django_assert_max_num_queries(32) as asked:
        browser.get("/alerts/")
    many = len(asked)
    Alert.objects.all().delete()
    AlertRule.objects.filter(name__gt="rule 1").delete()
    scene.read(machine, scene.sample(60), scene.sample(90))
    with django_assert_max_num_queries(many):
        browser.get("/alerts/")


def test_a_channel_that_fails_is_shown_at_the_rule(crew: Crew) -> None:
    channel = Channel.objects.create(team=crew.team, name="ops-chat", shown_url="x")
    make_rule(crew.team).channels.add(channel)
    browser = client(crew.viewer)
    assert "does not deliver" not in text_of(browser.get("/alerts/"))
    notify(crew.team, "alert_firing", "x", channels=[channel])
    Delivery.objects.update(status="failed", finished_at=timezone.now())
    assert "ops-chat does not deliver" in text_of(browser.get("/alerts/"))


def test_somebody_in_two_teams_chooses_one(crew: Crew) -> None:
    other = factories.make_team("second")
    factories.join(crew.operator, other, Role.OPERATOR)
    browser = client(crew.operator)
    assert "team_id" in browser.get("/alerts/rules/add").context["form"].fields
    browser.post("/alerts/rules/add", FORM | {"team_id": str(other.pk)})
    assert AlertRule.objects.get().team == other


def test_the_history_of_one_rule(crew: Crew, scene: Scene) -> None:
    machine = scene.machine(name="Spark 1")
    hot, warm = make_rule(crew.team), make_rule(crew.team, name="Warm", threshold=85)
    scene.read(machine, scene.sample(82))
    scene.read(machine, scene.sample(60))
    browser = client(crew.viewer)
    shown = {
        rule.pk: browser.get("/alerts/", {"rule": str(rule.pk)}).context for rule in (hot, warm)
    }
    assert [len(context["past_lines"]) for context in shown.values()] == [1, 0]
    for nonsense in ("x", str(uuid4())):
        context = browser.get("/alerts/", {"rule": nonsense, "page": "x", "rules": "99"}).context
        assert len(context["past_lines"]) == 1
