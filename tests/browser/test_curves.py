"""The curves of what a job printed, in a browser: over the GPU's, by time and by step."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from jobs import curving, logs
from jobs.models import Job
from jobs.states import Status
from projects.models import Project
from tests import factories
from tests.browser import histories
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view
from tests.jobs.rows import make_job

Visit = Callable[..., Visitor]

_SCRIPT_LIMIT = 55 * 1024
_MINUTES = 30


@pytest.fixture
def project(fleet: Fleet) -> Project:
    machine = fleet.add("Spark 1")
    histories.fill(machine, hours=1, days=0)
    return factories.make_project(machine, name="mnist")


def run(project: Project, *, is_final: bool = True, **fields: object) -> Job:
    """A run over the last half hour, of which nothing is printed yet."""
    end = datetime.now(UTC).replace(microsecond=0)
    job = make_job(project, granted=["0"], **fields)
    job.move(Status.STARTING, "keeper")
    job.move(Status.RUNNING, "keeper", started_at=end - timedelta(minutes=_MINUTES))
    if is_final:
        finish(job)
    return job


def finish(job: Job) -> None:
    job.move(Status.COMPLETED, "keeper", completed_at=datetime.now(UTC), exit_code=0)
    Job.objects.filter(pk=job.pk).update(log_complete=True)


def prints(job: Job, lines: list[str], *, since: float = _MINUTES, until: float = 1) -> None:
    """Lines evenly between `since` and `until` minutes ago."""
    now, pieces = datetime.now(UTC), 30
    for piece in range(pieces):
        part = lines[len(lines) * piece // pieces : len(lines) * (piece + 1) // pieces]
        ago = since + (until - since) * piece / pieces
        if part:
            logs.append(
                job, "".join(f"{line}\n" for line in part).encode(), now - timedelta(minutes=ago)
            )
    job.refresh_from_db()
    curving.catch_up(job)


def training(count: int = 300, names: int = 0) -> list[str]:
    """A loss that falls with a NaN in its middle, a rate, and other names."""
    rest = "".join(f" metric_{number}={number}" for number in range(names))
    return [
        f"step={step} loss={'nan' if step == count // 2 else 3 * math.exp(-step / count * 3) + 0.1:.5}"
        f" lr={1e-4 * (1 - step / count):.6f} tokens_per_second={12000 + step % 7}{rest}"
        for step in range(count)
    ]


def opened(visitor: Visitor, job: Job, query: str = "") -> Page:
    if visitor.page.url == "about:blank":
        visitor.log_in("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=metrics{query}")
    settled(page)
    return page


def settled(page: Page) -> None:
    """Curves are drawn, and nothing is being read."""
    expect(page.locator("#curves canvas, #curves .history-table").first).to_be_visible()
    expect(page.locator("#history canvas").first).to_be_attached()
    expect(page.locator("[data-loading]")).to_have_count(0)


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name, exact=True)


def test_curves_lie_over_the_gpus_on_one_time_base(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training())
    page = opened(visit(), job)
    expect(page.locator("#curves figure")).to_have_count(3)
    expect(page.locator("#curves [data-v=summary]").first).to_contain_text("1 not finite")
    expect(page.locator("#curves [data-v=summary]").first).to_contain_text("300 points")
    # The cross-hair is shared in both directions.
    gpu = page.locator("[data-chart=utilization]")
    over = page.locator("#curves .u-over").first
    over.scroll_into_view_if_needed()
    over.hover(position={"x": 300, "y": 60})
    printed = page.locator("#curves figure [data-v=value]").first
    expect(printed).to_contain_text("step ")
    expect(gpu.locator("[data-v=value]")).to_contain_text("%")
    slider(page, "GPU power").focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    before = printed.text_content()
    page.keyboard.press("End")
    expect(printed).not_to_have_text(str(before))
