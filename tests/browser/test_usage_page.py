"""The page "Usage" in a real browser: accessible, narrow, without script, and understandable."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import expect

from connections.models import Connection
from metrics.models import Machine
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import HOSTILE, check
from tests.emptying import no_numbers
from tests.metrics.machines import make_gpu, make_keeper
from tests.usage.people import free_gpu, moments, process, sample, save
from usage import tables
from usage.models import Owner, UsageSettings

Visit = Callable[..., Visitor]
DAYS = 10

# User, container, share of GPU 0, how busy.
_PEOPLE = (
    ("mara", None, 0.5, 0.8),
    ("grace", None, 0.3, 0.35),
    ("root", "inference-server-with-a-long-name", 0.2, 0.1),
)


@pytest.fixture
def usage(fleet: Fleet):
    today = timezone.now().date()
    tables.ensure_days([today, today - timedelta(days=DAYS)])
    with no_numbers():
        yield


def fill(machine: Connection, names: tuple[str, ...] = ("mara", "ana")) -> None:
    """Ten days of hours, and a last quarter of an hour in which `names` hold memory idly."""
    machine.owner, machine.epoch = make_keeper(), 1
    machine.save()
    now = timezone.now()
    gpus = [make_gpu(0, utilization_percent=1.0, power_watts=90.0), free_gpu(1)]
    holders = [process(name, gib=41 - place) for place, name in enumerate(names)]
    last = moments(30 * 15, now.replace(second=0, microsecond=0) - timedelta(minutes=15))
    save(machine.owner, machine, [sample(at, *holders, gpus=gpus) for at in last])
    _past(Machine.objects.get(connection=machine), now)


def _past(machine: Machine, now: datetime) -> None:
    end = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    with connection.cursor() as cursor:
        for user, container, share, busy in _PEOPLE:
            owner, _ = Owner.objects.get_or_create(user=user, container=container)
            cursor.execute(
                "INSERT INTO usage_hour SELECT at, %s, %s, 0, 3600, 3600 * %s, 3600 * %s, "
                "3600 * %s, 60, 2e10, 4e10, 300 * %s "
                "FROM generate_series(%s::timestamptz, %s, '1 hour') at ON CONFLICT DO NOTHING",
                [
                    machine.pk,
                    owner.pk,
                    share,
                    share * busy,
                    busy,
                    share,
                    end - timedelta(days=DAYS),
                    end,
                ],
            )
        cursor.execute(
            "INSERT INTO usage_day SELECT date_trunc('day', at, 'UTC'), machine, owner, gpu, "
            "sum(seconds), sum(share_seconds), sum(busy_seconds), sum(gpu_busy_seconds), "
            "sum(idle_seconds), avg(memory_mean_bytes), max(memory_max_bytes), sum(energy_wh) "
            "FROM usage_hour WHERE machine = %s GROUP BY 1, 2, 3, 4 ON CONFLICT DO NOTHING",
            [machine.pk],
        )


@pytest.mark.parametrize("width", [1280, 360])
def test_usage_is_accessible_and_narrow(
    visit: Visit, fleet: Fleet, usage: None, width: int
) -> None:
    visitor = visit(width)
    visitor.enter("boss")
    found: dict[str, object] = {}
    check(visitor.open("/usage/"), "empty", width, found)
    _picture(visitor, f"usage-empty-{width}")
    UsageSettings(price_per_kwh=Decimal("0.31"), currency="EUR").save()
    for name in (
        "Spark 1",
        "Server with a name that is much longer than what fits a narrow screen",
    ):
        fill(fleet.add(name))
    for by in ("user", "container", "machine", "gpu", "week", "day"):
        check(visitor.open(f"/usage/?range=30d&by={by}"), by, width, found)
        _picture(visitor, f"usage-{by}-{width}")
    assert found == {}


def _picture(visitor: Visitor, name: str) -> None:
    """For a person to look at, where `DGX_PICTURES` names a folder."""
    if folder := os.environ.get("DGX_PICTURES"):
        visitor.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_ranges_and_groups_are_links_that_work_without_script(
    visit: Visit, fleet: Fleet, usage: None
) -> None:
    fill(fleet.add("Spark 1"))
    visitor = visit(java_script=False)
    page = visitor.enter("guest").open("/")
    page.get_by_role("link", name="Usage").click()
    page.get_by_role("link", name="30 days").click()
    page.get_by_role("link", name="Machine", exact=True).click()
    assert page.url.endswith("/usage/?range=30d&by=machine")
    expect(page.get_by_role("row", name="Spark 1")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("dgxsite-usage-by-machine-")


def test_hostile_owners_are_text(visit: Visit, fleet: Fleet, usage: None) -> None:
    fill(fleet.add(HOSTILE[0]), HOSTILE)
    page = visit().enter("boss").open("/")
    page.get_by_role("link", name="Usage").click()
    for name in HOSTILE:
        expect(page.get_by_role("rowheader", name=name, exact=True)).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text=name).first).to_contain_text(
            "idle since"
        )
    assert page.locator("main script, main img, main [onload]").count() == 0
