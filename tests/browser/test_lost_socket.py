"""What a page does when its socket is gone: it says so, counts, polls, and says since when."""

from collections.abc import Callable

from playwright.sync_api import Route, WebSocketRoute, expect

from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor

Visit = Callable[..., Visitor]


def test_page_reconnects_and_goes_on(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0))
    visitor = visit()
    sockets = hand_through(visitor)
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    sockets[-1].close(code=1012)
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(9))
    expect(page.locator("[data-v=gpu]").first).to_have_text("95\u00a0%")
    assert len(sockets) == 2


def test_page_polls_after_three_failures(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0))
    visitor = visit()
    visitor.enter("boss")
    visitor.page.route_web_socket("**/ws/live/", lambda ws: ws.close(code=1013))
    page = visitor.open(f"/machines/{spark.pk}/?tab=metrics")
    expect(page.locator("#live")).to_contain_text("Polling over HTTP")
    fleet.record(spark, scenes.spark(9))
    expect(page.locator("[data-gauge=utilization] [data-v=text]")).to_have_text("95")
    expect(page.locator("svg.bars rect").last).to_have_class("high")


def test_overview_polls_with_the_servers_table(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    visitor = visit()
    visitor.page.route_web_socket("**/ws/live/", lambda ws: ws.close(code=1013))
    page = visitor.enter("boss").open("/")
    fleet.record(spark, scenes.spark(9))
    expect(page.locator("#live")).to_contain_text("Polling over HTTP")
    expect(page.locator("[data-v=gpu]").first).to_have_text("95\u00a0%")


def test_page_says_since_when_it_is_stale(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    visitor.page.route_web_socket("**/ws/live/", lambda ws: ws.close(code=1013))
    visitor.page.route("**/api/v1/**", refuse)
    page = visitor.open(f"/machines/{spark.pk}/?tab=metrics")
    expect(page.locator("#live")).to_contain_text("Stale")
    expect(page.locator("#live")).to_contain_text("since ")
    visitor.forgive("ERR_FAILED")


def test_withdrawn_access_ends_the_page(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    fleet.add("Spark 1")
    visitor.page.route_web_socket("**/ws/live/", lambda ws: ws.close(code=4403))
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "ended")


def test_ended_login_leads_to_the_login_page(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    visitor = visit()
    sockets = hand_through(visitor)
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    visitor.context.clear_cookies()
    sockets[-1].close(code=4401)
    page.wait_for_url("**/accounts/login/?next=%2F")
    visitor.forgive("401")


def test_gap_in_the_numbers_asks_for_the_state_again(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0))
    visitor = visit()
    said: list[str] = []
    visitor.page.route_web_socket("**/ws/live/", lambda ws: lose_the_first_sample(ws, said))
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(9))
    fleet.record(spark, scenes.spark(2))
    # Whatever was lost, the page ends with what the server has.
    expect(page.locator("[data-v=gpu]").first).to_have_text("68\u00a0%")
    assert any('"unsubscribe"' in text for text in said)


def test_this_machine_shows_what_the_browser_knows_when_all_fails(
    visit: Visit, fleet: Fleet
) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/this-machine")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    visitor.page.route_web_socket("**/ws/metrics/", lambda ws: ws.close(code=1013))
    visitor.page.route("**/api/metrics", refuse)
    page.reload()
    expect(page.get_by_text("estimated by this browser")).to_be_visible()
    expect(page.locator("[data-gauge=cpu]")).to_contain_text("cores")
    expect(page.locator("[data-gauge=memory]")).to_contain_text("GiB")
    visitor.forgive("ERR_FAILED")


def hand_through(visitor: Visitor) -> list[WebSocketRoute]:
    """The page's sockets, each joined to the server, so that a test can cut them."""
    sockets: list[WebSocketRoute] = []

    def join(ws: WebSocketRoute) -> None:
        sockets.append(ws)
        ws.connect_to_server()

    visitor.page.route_web_socket("**/ws/live/", join)
    return sockets


def refuse(route: Route) -> None:
    route.abort()


def lose_the_first_sample(ws: WebSocketRoute, said: list[str]) -> None:
    """Hand everything through but the first sample, as a channel that drops would."""
    server = ws.connect_to_server()
    lost: list[str] = []

    def from_server(text: str | bytes) -> None:
        if '"event":"sample"' in str(text) and not lost:
            lost.append(str(text))
            return
        ws.send(text)

    def from_page(text: str | bytes) -> None:
        said.append(str(text))
        server.send(text)

    server.on_message(from_server)
    ws.on_message(from_page)
