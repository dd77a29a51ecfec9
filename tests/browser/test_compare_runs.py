"""Runs beside each other in a browser: ticked in the list, read by everybody, drawn."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from jobs.models import Job
from projects.models import Project
from tests import factories
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view
from tests.jobs.rows import make_job
from tests.jobs.test_compare_pages import address, ran

Visit = Callable[..., Visitor]

_SCRIPT_LIMIT, _STYLE_LIMIT, _REQUESTS = 55 * 1024, 15 * 1024, 16


@pytest.fixture
def project(fleet: Fleet) -> Project:
    return factories.make_project(fleet.add("Spark 1"), name="mnist", resolved_path="/srv/mnist")


@pytest.fixture
def runs(project: Project) -> list[Job]:
    """Three runs with hostile and long texts, of which the second came down furthest."""
    boss = User.objects.get(username="boss")
    falls = [[2.0, 1.2, 0.9, 0.8], [2.1, 1.0, 0.5, 0.31], [1.9, 1.5]]
    names = ["base", "<img src=x onerror=alert(1)>", "a name that goes on and on and on and on"]
    return [
        ran(
            project,
            losses,
            name=name,
            config={"lr": 0.1 * (place + 1), "model": {"depth": 12, "width": 64 * place}},
            command=f"python train.py --out /srv/mnist/runs/{place}\necho done",
            environment={"EPOCHS": str(place), "HF_TOKEN": "hunter22"},
            joules=36_000.0 * (place + 1),
            requested_by=boss,
        )
        for place, (name, losses) in enumerate(zip(names, falls, strict=True))
    ]


def of_row(page: Page, title: str) -> list[str]:
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=title, exact=True))
    return [" ".join(text.split()) for text in row.get_by_role("cell").all_inner_texts()]


def test_ticked_jobs_are_compared_by_keyboard_alone(visit: Visit, runs: list[Job]) -> None:
    visitor = visit()
    visitor.enter("guest")
    page = visitor.open("/jobs/")
    for job in runs[:2]:
        page.get_by_role("checkbox", name=f"Compare {job.name}", exact=True).focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/compare?**")
    expect(page.get_by_role("columnheader")).to_have_count(2)
    cells = of_row(page, "loss, last")
    assert sorted(cells) == ["0.31 best", "0.8"]
    plot = page.get_by_role("slider", name="loss")
    expect(plot.locator("canvas")).to_be_visible()
    plot.focus()
    page.keyboard.press("End")
    expect(plot).to_have_attribute("aria-valuetext", re.compile(r"^step 300 · 1: \S+ · 2: \S+$"))
    page.get_by_role("link", name="Show equal too").press("Enter")
    page.wait_for_url("**show=all**")
    assert of_row(page, "config.model.depth") == ["12", "12"]
    page.get_by_role("link", name=re.compile("^Remove .* run 2$")).press("Enter")
    expect(page.get_by_role("columnheader")).to_have_count(1)
    expect(page.get_by_text("One run alone has nothing to be compared with.")).to_be_visible()


def test_ticks_outlive_a_new_painting_of_the_list(
    visit: Visit, project: Project, runs: list[Job]
) -> None:
    make_job(project, name="waits")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/jobs/")
    box = page.get_by_role("checkbox", name="Compare base", exact=True)
    box.check()
    page.get_by_role("searchbox", name=re.compile("^Find jobs")).focus()  # hands off the list
    Job.objects.filter(name="waits").update(waiting_reason="painted anew")
    expect(page.locator("#jobs")).to_contain_text("painted anew", timeout=15_000)
    expect(box).to_be_checked()


def test_it_works_without_a_script(visit: Visit, runs: list[Job]) -> None:
    visitor = visit(java_script=False)
    visitor.enter("guest")
    page = visitor.open("/jobs/")
    for job in runs:
        page.get_by_role("checkbox", name=f"Compare {job.name}", exact=True).check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("columnheader")).to_have_count(3)
    assert "0.31 best" in of_row(page, "loss, last")
    page.get_by_label("Drawn over").select_option("seconds")
    page.get_by_role("button", name="Draw").click()
    expect(page).to_have_url(re.compile(r"value=loss&by=seconds"))
    expect(page.get_by_label("Printed value")).to_have_value("loss")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_accessible_narrow_and_light(visit: Visit, runs: list[Job], width: int) -> None:
    visitor = visit(width)
    visitor.enter("guest")
    found: dict[str, object] = {}
    shown = address("/jobs/compare", *runs)
    for path in ("/jobs/compare", shown, f"{shown}&show=all&by=seconds", f"/jobs/{runs[2].pk}/"):
        page = visitor.open(path)
        if path.startswith(shown):
            expect(page.locator(".plot canvas")).to_be_visible()
        check(page, path, width, found)
    assert found == {}
    if width == 1280:
        sizes, count = first_view(visitor, shown)
        assert sizes["Script"] <= _SCRIPT_LIMIT
        assert sizes["Stylesheet"] <= _STYLE_LIMIT
        assert count <= _REQUESTS


def test_curves_stand_over_time_with_what_each_run_was(visit: Visit, runs: list[Job]) -> None:
    visitor = visit()
    visitor.enter("guest")
    page = visitor.open(address("/jobs/compare", *runs, value="loss", by="seconds"))
    plot = page.get_by_role("slider", name="loss")
    expect(plot.locator("canvas")).to_be_visible()
    plot.focus()
    page.keyboard.press("End")
    # The third run had ended by then.
    expect(plot).to_have_attribute(
        "aria-valuetext", re.compile(r"^\+3\s*min 0\s*s · 1: 0\.8 · 2: 0\.31 · 3: —$")
    )
