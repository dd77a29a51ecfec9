"""The curves of what a job printed, in a browser: over the GPU's, by time and by step."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from jobs.log import store as log_store
from jobs.models import Job, Status
from jobs.results import ingest as results_ingest
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
            log_store.append(
                job, "".join(f"{line}\n" for line in part).encode(), now - timedelta(minutes=ago)
            )
    job.refresh_from_db()
    results_ingest.catch_up(job)


def training(count: int = 300, names: int = 0) -> list[str]:
    """A loss that falls with a NaN in its middle, a rate, and other names."""
    rest = "".join(f" metric_{number}={number}" for number in range(names))
    losses = [f"{3 * math.exp(-step / count * 3) + 0.1:.5}" for step in range(count)]
    losses[count // 2] = "nan"
    return [
        f"step={step} loss={losses[step]} lr={1e-4 * (1 - step / count):.6f}"
        f" tokens_per_second={12000 + step % 7}{rest}"
        for step in range(count)
    ]


def opened(visitor: Visitor, job: Job, query: str = "") -> Page:
    if visitor.page.url == "about:blank":
        visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=metrics{query}")
    settled(page)
    return page


def settled(page: Page) -> None:
    """Curves are drawn, and nothing is being read."""
    expect(page.locator("#curves canvas, #curves .history-table").first).to_be_visible()
    page.locator("#history .history-state").scroll_into_view_if_needed()
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


def test_zoom_is_shared_with_the_history_and_one_step_back(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training())
    page = opened(visit(), job)
    drag(page, 0.2, 0.5)
    page.wait_for_url("**zoom=**")
    settled(page)
    expect(page.locator("#history [data-v=words]")).to_contain_text("not live")
    expect(page.locator("#history [data-part=reset]")).to_be_visible()
    page.go_back()
    page.wait_for_url(lambda url: "zoom" not in url)
    drag(page, 0.2, 0.5, "[data-chart=utilization]")
    page.wait_for_url("**zoom=**")
    expect(page.locator("#curves [data-part=reset]")).to_be_visible()
    page.locator("#curves").get_by_role("link", name="Reset zoom").click()
    page.wait_for_url(lambda url: "zoom" not in url)


def drag(page: Page, start: float, end: float, where: str = "#curves figure") -> None:
    """From one part of a chart's width to another."""
    over = page.locator(f"{where} .u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
    page.mouse.move(box["x"] + end * box["width"], y, steps=3)
    page.mouse.up()


def test_by_step_has_a_window_of_its_own_in_the_address(visit: Visit, project: Project) -> None:
    job = run(project)
    # The run was taken up again at step 100: what came after it is replaced.
    prints(job, training()[:200] + training()[100:])
    page = opened(visit(), job)
    page.get_by_role("navigation", name="Along").get_by_role("link", name="Step").click()
    page.wait_for_url("**axis=step**")
    expect(page.locator("#curves [data-v=words]")).to_contain_text("Along steps")
    summary = page.locator("#curves [data-v=summary]").first
    expect(summary).to_contain_text("300 points")
    expect(summary).to_contain_text("100 replaced when the steps began anew")
    drag(page, 0.25, 0.5)
    page.wait_for_url(re.compile(r"steps=7\d/1[45]\d"))
    settled(page)
    page.reload()
    settled(page)
    expect(page.locator("#curves").get_by_role("link", name="Reset zoom")).to_be_visible()
    loss = slider(page, "loss")
    loss.focus()
    page.keyboard.press("End")
    expect(loss).to_have_attribute("aria-valuetext", re.compile(r"^20\d\d-.* · step 299 · 0\.\d+$"))
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "steps" not in url)


def test_names_are_chosen_in_the_address(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training(20, names=97))
    page = opened(visit(), job)
    expect(page.locator("#curves figure h3")).to_have_text(["loss", "lr", "metric_0", "metric_1"])
    expect(page.locator("#curves [data-v=count]")).to_have_text("100 names, 4 drawn")
    page.get_by_label("Filter names").fill("metric_9")
    expect(page.locator("#curves tbody tr:visible")).to_have_count(8)
    page.get_by_role("checkbox", name="Draw metric_96").check()
    page.wait_for_url("**curve=metric_96**")
    settled(page)
    page.get_by_label("Filter names").fill("")
    page.get_by_role("checkbox", name="Draw lr").uncheck()
    expect(page.locator("#curves figure h3")).to_have_text(
        ["loss", "metric_0", "metric_1", "metric_96"]
    )
    page.reload()
    settled(page)
    expect(page.locator("#curves figure")).to_have_count(4)
    for name in ("loss", "metric_0", "metric_1", "metric_96"):
        page.get_by_role("checkbox", name=f"Draw {name}", exact=True).uncheck()
    expect(page.locator("#curves [data-v=words]")).to_have_text("Choose what to draw.")
    page.go_back()
    expect(page.locator("#curves figure h3")).to_have_text(["metric_96"])


def test_no_more_than_eight_at_once(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training(20, names=10))
    eight = "".join(f"&curve=metric_{number}" for number in range(8))
    page = opened(visit(), job, eight)
    expect(page.locator("#curves figure")).to_have_count(8)
    expect(page.locator("#curves [data-v=count]")).to_contain_text("no more than 8 at once")
    expect(page.get_by_role("checkbox", name="Draw loss")).to_be_disabled()
    page.get_by_role("checkbox", name="Draw metric_0", exact=True).uncheck()
    expect(page.get_by_role("checkbox", name="Draw loss")).to_be_enabled()


def test_what_has_no_logarithm_is_told(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, ["loss=10 gain=-1", "loss=0 gain=0", "loss=0.001 gain=-3"])
    page = opened(visit(), job, "&scale=log")
    scales = page.get_by_role("navigation", name="Scale of values")
    expect(scales.get_by_role("link", name="Log")).to_have_attribute("aria-current", "true")
    summaries = page.locator("#curves [data-v=summary]")
    expect(summaries.first).to_contain_text("1 of zero or less")
    expect(summaries.last).to_contain_text("3 of zero or less")
    expect(slider(page, "gain")).to_have_count(0)
    scales.get_by_role("link", name="Linear").click()
    expect(slider(page, "gain")).to_be_visible()


def test_as_table_tells_the_same_in_words(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training(20))
    page = opened(visit(), job)
    page.locator("#curves").get_by_role("link", name="As table").click()
    table = page.get_by_role("table", name="What was printed, newest first")
    expect(table.locator("tbody tr")).to_have_count(20)
    expect(table.locator("tbody tr").first).to_contain_text("12005")
    expect(table.get_by_text("not finite")).to_have_count(1)
    page.go_back()
    expect(page.locator("#curves canvas").first).to_be_visible()


def test_curves_grow_while_the_job_runs_and_end_with_it(visit: Visit, project: Project) -> None:
    job = run(project, is_final=False)
    visitor = visit()
    visitor.page.clock.install()
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=metrics")
    expect(page.get_by_role("heading", name="It has printed no values yet")).to_be_visible()
    assert "end=" not in page.url
    prints(job, ["step=1 loss=2"], since=5)
    page.clock.run_for(10_000)
    settled(page)
    expect(page.locator("#curves [data-v=summary]")).to_contain_text("1 point")
    expect(page.get_by_role("heading", name="It has printed no values yet")).to_be_hidden()
    prints(job, ["step=2 loss=1.5", "step=3 val_loss=1.75"], since=4)
    page.clock.run_for(10_000)
    expect(page.locator("#curves figure h3")).to_have_text(["loss", "val_loss"])
    expect(page.locator("#curves [data-v=value]").first).to_be_attached()
    expect(page.get_by_role("row", name="Draw loss loss 2 1.5")).to_be_visible()
    finish(job)
    page.clock.run_for(10_000)
    page.wait_for_url("**end=**")
    expect(page.locator("#curves [data-v=words]")).to_contain_text("all read")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(30_000)
    assert [url for url in asked if "/scalars" in url] == []


def test_a_refused_answer_keeps_the_curves(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training(20))
    visitor = visit()
    page = opened(visitor, job)
    page.route("**/scalars?*", lambda route: route.fulfill(status=503))
    page.get_by_role("checkbox", name="Draw lr").uncheck()
    problem = page.locator("#curves [role=alert]")
    expect(problem).to_contain_text("the site answered 503")
    expect(page.locator("#curves canvas").first).to_be_visible()
    page.unroute("**/scalars?*")
    problem.get_by_role("button", name="Try again").click()
    expect(problem).to_be_hidden()
    expect(page.locator("#curves figure")).to_have_count(2)
    visitor.forgive("503")


def test_hostile_names_are_text(visit: Visit, project: Project) -> None:
    job = run(project)
    name = "<img src=x onerror=alert(1)>&a=b,c/loss"
    prints(job, [json.dumps({name: 1}), json.dumps({name: 2})])
    page = opened(visit(), job)
    expect(page.locator("#curves figure h3")).to_have_text(name)
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("checkbox").check()
    settled(page)
    page.reload()
    settled(page)
    expect(page.locator("#curves figure h3")).to_have_text(name)
    assert page.locator("#curves img").count() == 0


def test_without_scripts_the_last_values_are_a_table(visit: Visit, project: Project) -> None:
    job = run(project)
    prints(job, training(20))
    visitor = visit(java_script=False)
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=metrics")
    expect(page.get_by_role("row", name="loss 19")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("link", name="Log", exact=True)).to_have_count(1)  # the tab


def test_long_curves_are_drawn_whole_when_they_are_looked_into(
    visit: Visit, project: Project
) -> None:
    job = run(project)
    prints(job, training(5000, names=5))
    eight = "".join(f"&curve=metric_{number}" for number in range(5))
    page = opened(visit(), job, f"&axis=step&curve=loss&curve=lr&curve=tokens_per_second{eight}")
    expect(page.locator("#curves [data-v=summary]").first).to_contain_text("1\u2009500 points")
    with page.expect_response("**/scalars?*") as answer:
        drag(page, 0.2, 0.3)
    print("bytes of eight whole curves", len(answer.value.body()))
    settled(page)
    expect(page.locator("#curves [data-v=summary]").first).to_contain_text("5\u2009000 points")


@pytest.mark.parametrize("width", [1280, 360])
def test_curves_are_accessible_narrow_and_light(visit: Visit, project: Project, width: int) -> None:
    job, silent = run(project), run(project)
    prints(job, training(300, names=20))
    visitor = visit(width)
    found: dict[str, object] = {}
    for query in ("", "&axis=step&scale=log", "&curves=table"):
        check(opened(visitor, job, query), query, width, found)
    page = visitor.open(f"/jobs/{silent.pk}/?tab=metrics")
    expect(page.get_by_role("heading", name="It has printed no values yet")).to_be_visible()
    page.locator("#history .history-state").scroll_into_view_if_needed()
    expect(page.locator("#history canvas").first).to_be_attached()
    expect(page.locator("[data-loading]")).to_have_count(0)
    check(page, "empty", width, found)
    sizes, count = first_view(visitor, f"/jobs/{job.pk}/?tab=metrics")
    print(json.dumps(sizes), count)
    assert sizes["Script"] <= _SCRIPT_LIMIT
    assert found == {}
