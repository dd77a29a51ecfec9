"""The Alerts page in a real browser: accessible, narrow, live, and without a script."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from alerts import estimates, transitions
from alerts.engine import Key, Transition
from alerts.evaluation import Event, Phase, State
from alerts.models import Alert, AlertRule
from connections.models import Connection
from notifications.models import Channel
from tests.alerts.conftest import make_rule
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import HOSTILE, check, first_view, metrics_of

Visit = Callable[..., Visitor]
# For a look at the pages: a folder that takes a picture of each.
_PICTURES = os.environ.get("DGX_PICTURES")


def fire(rule: AlertRule, machine: Connection, value: float, gpu: int | None = 0) -> Alert:
    """As a keeper would write it."""
    now = timezone.now()
    alert = Alert(rule=rule, connection=machine)
    state = State(Phase.FIRING, now - timedelta(minutes=5), now, value)
    key = Key(rule.pk, machine.pk, gpu)
    write(Transition(Event.FIRED, key, alert.pk, rule.revision, now, state))
    return Alert.objects.get(pk=alert.pk)


def end(alert: Alert) -> None:
    now = timezone.now()
    key = Key(alert.rule_id, alert.connection_id, alert.gpu)
    write(Transition(Event.RESOLVED, key, alert.pk, alert.rule.revision, now, None))


def write(transition: Transition) -> None:
    with transaction.atomic():
        transitions.write([transition])


def furnish(fleet: Fleet) -> list[str]:
    """Every state that the page can show; the addresses of all pages about alerts."""
    spark = fleet.add("Spark 1", tags=["lab"])
    hostile = fleet.add(HOSTILE[1])
    for machine in (spark, hostile):
        fleet.record(machine, *(scenes.spark(step) for step in range(5)))
    channel = Channel.objects.create(team=fleet.team, name=HOSTILE[0], shown_url="slack://…")
    hot = make_rule(fleet.team, name="GPU too hot", for_seconds=120, tag="lab")
    hot.channels.add(channel)
    left = make_rule(
        fleet.team,
        name="Memory will run out",
        metric="memory_seconds_left",
        comparison="<",
        threshold=300,
        snoozed_until=timezone.now() + timedelta(hours=1),
    )
    make_rule(fleet.team, name=HOSTILE[2], enabled=False, connection=hostile, gpu=1)
    make_rule(fleet.team, name="Old rule", deleted_at=timezone.now())
    fire(hot, spark, 91.0)
    fire(left, spark, 236.0, gpu=None)
    known = fire(hot, hostile, 88.5)
    Alert.objects.filter(pk=known.pk).update(
        acknowledged_at=timezone.now(), acknowledged_by=User.objects.get(username="boss")
    )
    end(fire(hot, spark, 86.0, gpu=1))
    pending = State(Phase.PENDING, timezone.now(), timezone.now(), 87.0)
    key = Key(hot.pk, hostile.pk, 1)
    row = Alert()
    write(Transition(Event.PENDING, key, row.pk, hot.revision, timezone.now(), pending))
    estimates.keep({spark.pk: 236.0})
    return [
        "/alerts/",
        "/alerts/rules/add",
        f"/alerts/rules/{hot.pk}",
        f"/alerts/?deleted={AlertRule.objects.get(name='Old rule').pk}",
        metrics_of(spark),
        "/",
    ]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_breaks_an_accessibility_rule_or_scrolls_sideways(
    visit: Visit, fleet: Fleet, width: int
) -> None:
    visitor = visit(width)
    visitor.enter("boss")
    found: dict[str, object] = {}
    check(visitor.open("/alerts/"), "empty", width, found)
    picture(visitor.page, f"empty-{width}")
    for number, path in enumerate(furnish(fleet)):
        page = visitor.open(path)
        check(page, path, width, found)
        picture(page, f"{number}-{width}")
    assert found == {}


def picture(page: Page, name: str) -> None:
    if _PICTURES:
        page.screenshot(path=Path(_PICTURES) / f"alerts-{name}.png", full_page=True)


def test_hostile_names_are_text(visit: Visit, fleet: Fleet) -> None:
    paths = furnish(fleet)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(paths[0])
    expect(page.locator("main").get_by_text(HOSTILE[1]).first).to_be_visible()
    assert page.locator("main script, main img, main [onload]").count() == 0


def test_pages_stay_within_their_budgets(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("boss")
    for path in (path for path in furnish(fleet) if path.startswith("/alerts/")):
        sizes, count = first_view(visitor, path)
        assert sizes.get("Script", 0) <= 30 * 1024, (path, sizes)
        assert sizes.get("Stylesheet", 0) <= 15 * 1024, (path, sizes)
        assert count <= 15, (path, count)


def test_a_new_user_enables_a_rule_and_acknowledges_what_rings(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/alerts/")
    page.get_by_role("button", name="Enable GPU too hot").click()
    expect(page.get_by_text("watches the machines of")).to_be_visible()
    # It rings while the page is open.
    expect(page.get_by_text("Nothing fires.")).to_be_visible()
    page.locator("#bell[data-live]").wait_for()
    fire(AlertRule.objects.get(), machine, 91.0)
    expect(page.locator("#active").get_by_text("GPU temperature is 91")).to_be_visible()
    page.get_by_role("button", name="Acknowledge Spark 1").click()
    expect(page.locator("#active").get_by_text("acknowledged by boss")).to_be_visible()


def test_the_rule_reads_as_a_sentence_and_is_previewed(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/alerts/rules/add")
    page.get_by_label("Name", exact=True).fill("Too hot")
    page.get_by_label("On", exact=True).select_option(label="Spark 1")
    page.get_by_label("when", exact=True).select_option(label="GPU temperature (°C)")
    page.get_by_label("this").first.fill("80")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("none of these machines has a history yet")).to_be_visible()
    page.get_by_role("button", name="Make rule").click()
    expect(page.get_by_text("On Spark 1, when GPU temperature is above 80")).to_be_visible()
    assert AlertRule.objects.get().connection == machine


def test_a_deleted_rule_is_brought_back_by_undo(visit: Visit, fleet: Fleet) -> None:
    make_rule(fleet.team, name="Too hot")
    visitor = visit(java_script=False)
    visitor.enter("boss")
    page = visitor.open("/alerts/")
    page.get_by_role("button", name="Delete Too hot").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Too hot")).to_be_visible()


def test_the_overviews_title_counts_what_fires(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Spark 1")
    fleet.record(machine, scenes.spark())
    rule = make_rule(fleet.team)
    visitor = visit()
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    alert = fire(rule, machine, 91.0)
    expect(page).to_have_title("1 ⚠ · Machines · dgxsite")
    expect(page.locator("#alerts-link")).to_contain_text("1 firing")
    end(alert)
    expect(page).to_have_title("Machines · dgxsite")


def test_a_machines_page_shows_what_begins_to_fire_there(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Spark 1")
    fleet.record(machine, scenes.spark())
    rule = make_rule(fleet.team)
    visitor = visit()
    visitor.enter("boss")
    for tab in ("metrics", "connection"):
        page = visitor.open(f"/machines/{machine.pk}/?tab={tab}")
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        alert = fire(rule, machine, 91.0)
        expect(page.locator("#machine-alerts").get_by_text("temperature is 91")).to_be_visible()
        end(alert)
        expect(page.locator("#machine-alerts").get_by_text("temperature is 91")).to_be_hidden()
