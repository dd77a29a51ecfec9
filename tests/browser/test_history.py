"""The History section in a browser: it draws what the address says, and says what it draws."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from connections.models import Connection
from metrics import annotations
from tests.browser import histories, scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, metrics_of

Visit = Callable[..., Visitor]


@pytest.fixture
def spark(fleet: Fleet) -> Connection:
    """A machine that reads now and has a past of 40 days."""
    row = fleet.add("Spark 1")
    fleet.record(row, *(scenes.spark(step) for step in range(5)))
    histories.fill(row)
    return row


def opened(visitor: Visitor, row: Connection, query: str = "") -> Page:
    """The machine's page, scrolled to its history, which is drawn."""
    if visitor.page.url == "about:blank":
        visitor.enter("boss")
    page = visitor.open(metrics_of(row) + query)
    page.locator("#history .history-state").scroll_into_view_if_needed()
    settled(page)
    return page


def settled(page: Page) -> None:
    """Something is drawn, and nothing is being read."""
    expect(page.locator("#history canvas, #history .history-table").first).to_be_visible()
    expect(page.locator("#history[data-loading]")).to_have_count(0)


def over(page: Page, key: str = "utilization") -> Locator:
    return page.locator(f"[data-chart={key}] .u-over")


def drag(page: Page, start: float, end: float) -> None:
    """From one part of the first chart's width to another."""
    over(page).scroll_into_view_if_needed()
    box = over(page).bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
    page.mouse.move(box["x"] + end * box["width"], y, steps=3)
    page.mouse.up()


def words(page: Page) -> Locator:
    return page.locator("#history [data-v=words]")


def test_nothing_is_loaded_before_the_charts_come_near(visit: Visit, spark: Connection) -> None:
    visitor = visit()
    visitor.enter("boss")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page = visitor.open(metrics_of(spark))
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    assert [url for url in asked if "uPlot" in url or "metrics/history" in url] == []
    page.locator("#history .history-state").scroll_into_view_if_needed()
    settled(page)
    expect(page.locator("#history canvas")).to_have_count(7)
    expect(words(page)).to_have_text("Last 24 hours · 3 min averages · live")
    expect(page.locator("#summary-utilization")).to_contain_text("highest")


def test_drag_zooms_into_finer_data_and_double_click_goes_back(
    visit: Visit, spark: Connection
) -> None:
    page = opened(visit(), spark)
    drag(page, 0.2, 0.4)
    page.wait_for_url("**zoom=**")
    settled(page)
    expect(words(page)).to_contain_text("1 min averages · not live")
    expect(page.get_by_role("link", name="Reset zoom")).to_be_visible()
    expect(page.get_by_role("link", name="Resume live")).to_be_visible()
    over(page).dblclick()
    page.wait_for_url(lambda url: "zoom" not in url)
    expect(words(page)).to_have_text("Last 24 hours · 3 min averages · live")
    expect(page.get_by_role("link", name="Resume live")).to_be_hidden()


def test_zoom_survives_a_reload_and_the_back_button_leaves_it(
    visit: Visit, spark: Connection
) -> None:
    page = opened(visit(), spark)
    drag(page, 0.2, 0.4)
    page.wait_for_url("**zoom=**")
    expect(words(page)).to_contain_text("not live")
    zoomed = words(page).text_content()
    page.reload()
    page.locator("#history .history-state").scroll_into_view_if_needed()
    settled(page)
    expect(words(page)).to_have_text(str(zoomed))
    page.go_back()
    expect(words(page)).to_contain_text("Last 24 hours")
    page.go_forward()
    expect(words(page)).to_have_text(str(zoomed))


def test_ranges_name_their_tier_and_are_in_the_address(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    ranges = page.get_by_role("navigation", name="Range")
    ranges.get_by_role("link", name="7d").click()
    page.wait_for_url("**range=7d**")
    expect(words(page)).to_have_text("Last 7 days · 1 h averages · live")
    expect(ranges.get_by_role("link", name="7d")).to_have_attribute("aria-current", "true")
    page.go_back()
    expect(words(page)).to_contain_text("Last 24 hours")
    expect(ranges.get_by_role("link", name="24h")).to_have_attribute("aria-current", "true")


def test_panning_pauses_and_resume_goes_on(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark, "&range=1h")
    page.get_by_role("button", name="Earlier").click()
    page.wait_for_url("**zoom=**")
    expect(words(page)).to_contain_text("not live")
    page.get_by_role("link", name="Resume live").click()
    expect(words(page)).to_have_text("Last hour · 20 s averages · live")


def test_new_points_are_appended_while_nobody_pans(visit: Visit, spark: Connection) -> None:
    visitor = visit()
    visitor.page.clock.install()
    page = opened(visitor, spark, "&range=1h")
    histories.extend(spark, minutes=1, level=77)
    with page.expect_response(re.compile(r"metrics/history\?start=")):
        page.clock.fast_forward(61_000)
    expect(page.locator("#summary-utilization")).to_contain_text("last 77")


def test_choosing_a_gpu_changes_the_gauges_too(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Server")
    fleet.record(machine, scenes.server(3))
    histories.fill(machine, gpus=8, days=0)
    page = opened(visit(), machine)
    expect(words(page)).to_contain_text("all GPUs")
    chooser = page.get_by_role("navigation", name="GPU of the history")
    chooser.get_by_role("link", name="GPU 3").click()
    page.wait_for_url("**gpu=3**")
    expect(words(page)).to_contain_text("GPU 3")
    expect(page.locator("[data-gpu-panel]")).to_have_count(1)
    page.go_back()
    expect(page.locator("[data-gpu-panel]")).to_have_count(8)


def test_charts_are_chosen_in_the_address(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    chips = page.get_by_role("group", name="Charts to show")
    chips.get_by_role("button", name="Network").click()
    page.wait_for_url("**show=**")
    expect(page.locator("[data-chart=network]")).to_be_hidden()
    page.reload()
    page.locator("#history .history-state").scroll_into_view_if_needed()
    settled(page)
    expect(page.locator("[data-chart=network]")).to_be_hidden()
    expect(chips.get_by_role("button", name="Network")).to_have_attribute("aria-pressed", "false")


def test_keyboard_moves_a_cursor_zooms_and_goes_back(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark, "&range=1h")
    slider = page.get_by_role("slider", name="GPU temperature")
    slider.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^20\d\d-.*\s°C \(.* – .*\)$"))
    # The cross-hair is shared.
    expect(page.locator("[data-chart=power] [data-v=value]")).to_contain_text("W")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url("**zoom=**")
    page.keyboard.press("Escape")
    expect(words(page)).to_contain_text("Last hour")


def test_the_mouse_reads_the_same_moment_in_every_chart(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    over(page).hover(position={"x": 300, "y": 40})
    value = page.locator("[data-chart=utilization] [data-v=value]")
    expect(value).to_contain_text("%")
    moment = str(value.text_content()).split(" · ")[0]
    for key in ("cpu", "network", "disk"):
        expect(page.locator(f"[data-chart={key}] [data-v=value]")).to_contain_text(moment)


def test_as_table_is_a_table_with_the_same_window(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark, "&range=1h")
    page.get_by_role("link", name="As table").click()
    table = page.get_by_role("table", name="The history, newest first")
    expect(table).to_be_visible()
    expect(table.get_by_role("columnheader", name="GPU temperature")).to_be_visible()
    assert 60 <= table.locator("tbody tr").count() <= 100
    page.go_back()
    expect(page.locator("#history canvas").first).to_be_visible()


def test_an_error_keeps_the_charts_and_can_be_tried_again(visit: Visit, spark: Connection) -> None:
    visitor = visit()
    page = opened(visitor, spark)
    page.route("**/metrics/history?*", lambda route: route.fulfill(status=503))
    page.get_by_role("navigation", name="Range").get_by_role("link", name="7d").click()
    problem = page.locator("#history [role=alert]")
    expect(problem).to_contain_text("the site answered 503")
    expect(page.locator("#history canvas").first).to_be_visible()
    page.unroute("**/metrics/history?*")
    problem.get_by_role("button", name="Try again").click()
    expect(words(page)).to_contain_text("Last 7 days")
    expect(problem).to_be_hidden()
    visitor.forgive("503")


def test_a_window_without_data_says_since_when_and_leads_to_the_newest(
    visit: Visit, spark: Connection
) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(metrics_of(spark) + "&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z")
    page.locator("#history .history-state").scroll_into_view_if_needed()
    expect(page.get_by_text("nothing in this window")).to_contain_text("Collected since")
    page.get_by_role("button", name="Jump to the newest data").click()
    settled(page)
    expect(page.locator("#summary-utilization")).to_contain_text("highest")


def test_own_window_is_read_in_the_persons_time_zone(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    page.get_by_text("Custom window").click()
    end = datetime.now(UTC).replace(microsecond=0)
    for name, moment in (("From", end - timedelta(hours=2)), ("To", end)):
        page.get_by_label(name, exact=True).fill(moment.strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**start=**")
    settled(page)
    expect(words(page)).to_contain_text("20 s averages · not live")
    page.get_by_role("link", name="Resume live").click()
    expect(words(page)).to_contain_text("Last 24 hours")


@pytest.fixture
def marked() -> Iterator[None]:
    """Every window holds one alert, an hour old and still there."""

    def provide(connection_id: UUID, start: datetime, end: datetime) -> list[annotations.Mark]:
        began = datetime.now(UTC) - timedelta(hours=1)
        return [annotations.Mark("alert", "GPU hot", began, None, "critical", link="/alerts/")]

    with annotations.providers.only(*annotations.providers, provide):
        yield


@pytest.mark.usefixtures("marked")
def test_marks_of_other_apps_are_listed(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    page.get_by_text("1 marked in this window").click()
    expect(page.get_by_role("link", name="GPU hot")).to_have_attribute("href", "/alerts/")
    expect(page.locator("#history .marks")).to_contain_text("still")


def test_fingers_spread_to_zoom_and_drag_to_pan(visit: Visit, spark: Connection) -> None:
    visitor = visit(360)
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    page = opened(visitor, spark)
    expect(page.locator(".u-over.touchable").first).to_be_visible()
    over(page).scroll_into_view_if_needed()
    box = over(page).bounding_box()
    assert box is not None

    def touch(kind: str, *places: float) -> None:
        y = box["y"] + 40
        points = [{"x": box["x"] + x, "y": y, "id": n} for n, x in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 100, 140)
    touch("touchMove", 60, 180)
    touch("touchMove", 40, 200)
    touch("touchEnd")
    page.wait_for_url("**zoom=**")
    expect(words(page)).to_contain_text("not live")
    before = page.url
    settled(page)
    touch("touchStart", 60)
    touch("touchMove", 90)
    touch("touchMove", 140)
    touch("touchEnd")
    page.wait_for_url(lambda url: url != before)


@pytest.mark.parametrize("width", [1280, 360])
def test_drawn_charts_and_tables_are_accessible(
    visit: Visit, spark: Connection, width: int
) -> None:
    visitor = visit(width)
    found: dict[str, object] = {}
    for query in ("", "&range=7d", "&table=1"):
        check(opened(visitor, spark, query), query, width, found)
    visitor.open(metrics_of(spark) + "&range=12m")
    visitor.page.locator("#history .history-state").scroll_into_view_if_needed()
    expect(visitor.page.get_by_text("nothing in this window")).to_be_visible()
    check(visitor.page, "empty", width, found)
    assert found == {}


def test_old_data_stays_pale_while_new_is_read(visit: Visit, spark: Connection) -> None:
    page = opened(visit(), spark)
    held: list[Route] = []
    page.route("**/metrics/history?*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks the handler)
    page.get_by_role("navigation", name="Range").get_by_role("link", name="7d").click()
    expect(page.locator("#history")).to_have_attribute("data-loading", "")
    expect(page.locator("#history .charts")).to_have_css("opacity", "0.5")
    held[0].continue_()
    expect(words(page)).to_contain_text("Last 7 days")
    expect(page.locator("#history .charts")).to_have_css("opacity", "1")
