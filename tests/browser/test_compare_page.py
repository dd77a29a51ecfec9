"""The Compare page in a browser, and the overview's small curves."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from connections.models import Connection
from tests.browser import histories, scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view

Visit = Callable[..., Visitor]


@pytest.fixture
def pair(fleet: Fleet) -> tuple[Connection, Connection]:
    """Two machines with a past; the second has two GPUs."""
    first, second = fleet.add("Spark 1"), fleet.add("Server")
    fleet.record(first, scenes.spark(0))
    histories.fill(first)
    histories.fill(second, gpus=2)
    return first, second


def test_curves_are_added_by_the_form_and_stand_in_the_address(
    visit: Visit, pair: tuple[Connection, Connection]
) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/compare/")
    page.get_by_label("Machine", exact=True).select_option("Spark 1")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_url("**item=**")
    page.get_by_label("Machine", exact=True).select_option("Server")
    page.get_by_label("GPU", exact=True).fill("1")
    page.get_by_role("button", name="Add curve").click()
    expect(page.locator(".compared li")).to_have_count(2)
    expect(page.locator(".compared")).to_contain_text("2. Server, last 24 hours, GPU 1")
    assert re.search(rf"item={pair[1].pk},24h,1", page.url)
    chart = page.locator("[data-series=gpu_power_watts]")
    expect(chart.locator("canvas")).to_be_visible()
    chart.locator(".u-over").hover(position={"x": 200, "y": 40})
    expect(chart.locator("[data-v=value]")).to_contain_text(re.compile(r"1: .*W · 2: .*W"))
    page.get_by_role("link", name="Remove Spark 1, last 24 hours").click()
    expect(page.locator(".compared li")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_shared_link_shows_curves_figures_and_what_it_left_out(
    visit: Visit, pair: tuple[Connection, Connection], width: int
) -> None:
    visitor = visit(width)
    visitor.enter("guest")
    first, second = pair
    query = f"?item={first.pk},24h&item={second.pk},7d&item={first.pk},nonsense"
    page = visitor.open("/compare/" + query)
    expect(page.get_by_text("Left out:")).to_contain_text("nonsense")
    expect(page.locator("[data-series] canvas")).to_have_count(9)
    energy = page.locator("section", has=page.get_by_role("heading", name="Energy of the GPUs"))
    expect(energy.locator("tbody tr").first).to_contain_text("reference")
    expect(energy.locator("tbody tr").last).to_contain_text("kWh")
    found: dict[str, object] = {}
    check(page, query, width, found)
    assert found == {}


def test_the_file_holds_a_line_per_curve_and_series(
    visit: Visit, pair: tuple[Connection, Connection]
) -> None:
    visitor = visit()
    visitor.enter("guest")
    page = visitor.open(f"/compare/?item={pair[0].pk},24h&item={pair[1].pk},24h,0")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {(row["machine"], row["gpu"]) for row in rows} == {("Spark 1", "all"), ("Server", "0")}
    assert all(float(row["mean"]) <= float(row["max"]) for row in rows)


def test_scripts_of_drawn_charts_stay_within_the_budget(
    visit: Visit, pair: tuple[Connection, Connection]
) -> None:
    visitor = visit()
    visitor.enter("boss")
    sizes, count = first_view(visitor, f"/compare/?item={pair[0].pk},24h&item={pair[1].pk},24h")
    assert sizes["Script"] <= 55 * 1024
    assert count <= 16


def test_the_overview_draws_half_an_hour_and_goes_on(
    visit: Visit, fleet: Fleet, pair: tuple[Connection, Connection]
) -> None:
    page = visit().enter("boss").open("/")
    curve = page.locator(f"tr[data-id='{pair[0].pk}'] .spark")
    expect(curve).to_have_attribute("aria-label", re.compile("^GPU, last 30 minutes: "))
    before = curve.locator("path").get_attribute("d")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(pair[0], scenes.spark(9))
    expect(curve.locator("path")).not_to_have_attribute("d", str(before))
