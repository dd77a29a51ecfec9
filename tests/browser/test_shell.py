"""The palette, the keys, the trash, the settings and what a page says of the site around it."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.test import override_settings
from playwright.sync_api import Page, Route, expect

from accounts.models import Preference, User
from connections.models import Connection, Status
from dgxsite.routing import websocket_urlpatterns
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check
from tests.browser.test_lost_socket import hand_through
from tests.browser.test_main_path import announce

Visit = Callable[..., Visitor]


def open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    expect(page.get_by_role("option").first).to_be_visible()


def test_palette_takes_what_is_typed_while_it_loads(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    fleet.add("Other")
    page = visit().enter("guest").open("/")
    held: list[Route] = []
    # Playwright asks a handler for its code, which a built-in method has none of.
    page.route("**/palette*.js", lambda route: held.append(route))  # noqa: PLW0108
    page.keyboard.press("Control+k")
    page.keyboard.type("spark 1")
    held[0].continue_()
    expect(page.get_by_role("combobox")).to_have_value("spark 1")
    expect(page.get_by_role("option")).to_have_count(1)


def test_palette_leads_to_a_machine_by_keyboard_alone(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    other = fleet.add("Spark 2", hostname="10.0.0.7")
    page = visit().enter("guest").open("/")
    open_palette(page)
    page.keyboard.type("10.0.0.7")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/machines/{other.pk}/?tab=metrics")


def test_palette_moves_with_arrows_and_acts(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    page = visit().enter("boss").open("/")
    open_palette(page)
    page.keyboard.type("spark")
    expect(page.get_by_role("option")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_contain_text("Disconnect Spark 1")
    active = page.get_by_role("combobox").get_attribute("aria-activedescendant")
    assert chosen.get_attribute("id") == active
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/machines/{spark.pk}/?tab=connection")
    spark.refresh_from_db()
    assert not spark.is_active


def test_palette_keeps_the_focus_and_gives_it_back(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    button = page.get_by_role("button", name="Search machines, pages and actions")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for keys in ("Tab", "Tab", "Shift+Tab"):
        page.keyboard.press(keys)
        expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_palette_says_when_nothing_fits(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    open_palette(page)
    page.keyboard.type("no such thing")
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Nothing fits.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_question_mark_shows_the_keys(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_contain_text("Search machines")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_hidden()


def test_slash_searches_where_there_is_no_list(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/account/")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()


def test_single_keys_can_be_turned_off(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/account/settings")
    page.get_by_label("Single-key shortcuts").uncheck()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page = visitor.open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter machines")).not_to_be_focused()
    open_palette(page)  # Ctrl is held: this one stays
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_browsers_time_zone_is_offered(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/account/settings")
    page.get_by_label("Time zone").select_option("Asia/Kolkata")
    page.get_by_role("button", name="Use this browser's").click()
    own = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    expect(page.get_by_label("Time zone")).to_have_value(own)


def test_scripts_write_times_in_the_persons_zone(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0))
    choose("boss", time_zone="Asia/Kolkata")
    page = visit().enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(9))
    expect(page.locator("[data-v=gpu]").first).to_have_text("95\u00a0%")
    seen = page.locator("time[data-v=seen]").first
    utc, shown = seen.get_attribute("datetime") or "", seen.get_attribute("title") or ""
    assert re.search(r":\d\d\.\d{3}Z$", utc)
    minutes = [
        int(hours) * 60 + int(rest) for hours, rest in (t[11:16].split(":") for t in (utc, shown))
    ]
    assert (minutes[1] - minutes[0]) % (24 * 60) == 5 * 60 + 30


def test_title_and_icon_carry_the_state(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    visitor = visit()
    page = visitor.enter("boss").open("/")
    expect(page).to_have_title("Machines · dgxsite")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    for status, reason, title, icon in (
        (Status.ERROR, "auth_failed", "1 ⚠ · Machines · dgxsite", "favicon-alert"),
        (Status.CONNECTED, "", "Machines · dgxsite", "favicon."),
    ):
        Connection.objects.filter(pk=spark.pk).update(status=status, reason=reason)
        spark.refresh_from_db()
        announce(spark)
        expect(page).to_have_title(title)
        expect(page.locator("#favicon")).to_have_attribute("href", re.compile(icon))
    Connection.objects.filter(pk=spark.pk).update(status=Status.ERROR, reason="auth_failed")
    page = visitor.open(f"/machines/{spark.pk}/")
    expect(page).to_have_title("⚠ · Spark 1 · dgxsite")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    spark.status, spark.reason = Status.CONNECTED, ""
    announce(spark)
    expect(page).to_have_title("Spark 1 · dgxsite")


def test_updated_site_asks_to_be_loaded_again(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    visitor = visit()
    sockets = hand_through(visitor)
    page = visitor.enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    sockets[-1].close(code=1012)
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("The site was updated.")).to_have_count(0)
    page.route("**/version", lambda route: route.fulfill(json={"build": "newer"}))
    sockets[-1].close(code=1012)
    expect(page.get_by_text("The site was updated.")).to_be_visible()
    page.evaluate("document.body.dataset.mark = 'the same page'")
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("body[data-mark]")).to_have_count(0)
    visitor.forgive("closed before")


@pytest.mark.parametrize("path", ["/", "/account/"])
def test_page_says_that_the_site_is_gone_and_back(visit: Visit, fleet: Fleet, path: str) -> None:
    fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    is_gone = [True]

    def answer(route: Route) -> None:
        if is_gone[0]:
            route.abort()
        else:
            route.continue_()

    visitor.page.route_web_socket("**/ws/live/", lambda ws: ws.close(code=1013))
    visitor.page.route(re.compile("/api/v1/|/version"), answer)
    page = visitor.open(path)
    lost = page.locator("#lost")
    expect(lost).to_contain_text("The site does not answer.")
    expect(lost).to_have_role("status")
    is_gone[0] = False
    expect(lost).to_be_empty(timeout=25_000)
    visitor.forgive("ERR_FAILED")


def test_missing_page_opens_the_palette(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/there-is-no-such-page")
    page.locator("main").get_by_role("button", name="Search").click()
    expect(page.get_by_role("combobox")).to_be_focused()
    visitor.forgive("404")


def test_deleted_machine_comes_back_from_the_trash(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1", auto_connect=False)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Spark 1 was moved to the trash.")).to_be_visible()
    page = visitor.open("/machines/trash")
    page.get_by_role("button", name="Restore Spark 1").click()
    expect(page.get_by_role("heading", name="Spark 1", level=1)).to_be_visible()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("width", [1280, 360])
def test_shell_is_accessible_and_narrow(visit: Visit, fleet: Fleet, width: int) -> None:
    long = "A machine with a name that is much longer than what fits a narrow screen"
    fleet.add(long)
    removed = fleet.add("Removed")
    visitor = visit(width)
    visitor.enter("boss")
    Connection.objects.filter(pk=removed.pk).update(deleted_at=removed.created_at)
    choose("boss", density="compact")
    found: dict[str, object] = {}
    for path in ("/", "/account/settings", "/machines/trash", "/there-is-no-such-page"):
        check(visitor.open(path), path, width, found)
    page = visitor.open("/account/settings")
    page.get_by_label("Its address").fill("nonsense")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("alert").first).to_contain_text("Not saved")
    check(page, "wrong settings", width, found)
    page = visitor.open("/")
    open_palette(page)
    check(page, "palette", width, found)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    check(page, "shortcuts", width, found)
    choose("boss", this_machine=False)
    check(visitor.open("/this-machine"), "turned off", width, found)
    visitor.forgive("404")
    visitor.forgive("422")
    assert found == {}


@pytest.fixture
def other_site(site: str) -> Iterator[str]:
    """A second site on another port, with the same logins: cookies know no ports."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        routes = {"http": get_asgi_application(), "websocket": URLRouter(websocket_urlpatterns)}
        config = uvicorn.Config(
            ProtocolTypeRouter(routes), ws="websockets-sansio", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://localhost:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def test_browser_reads_the_machine_of_another_site(
    visit: Visit, fleet: Fleet, site: str, other_site: str
) -> None:
    choose("boss", this_machine_address=other_site)
    visitor = visit()
    visitor.enter("boss")
    with override_settings(CORS_ORIGINS=[site]):
        page = visitor.open("/this-machine")
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        expect(page.locator("[data-gauge=cpu] [data-v=text]")).not_to_have_text("—")
        # Over HTTP, too, when there is no socket.
        page.route_web_socket("**/ws/metrics/", lambda ws: ws.close(code=1013))
        page.reload()
        expect(page.locator("#live")).to_contain_text("Polling over HTTP")


def test_site_that_does_not_name_this_one_is_not_read(
    visit: Visit, fleet: Fleet, other_site: str
) -> None:
    choose("boss", this_machine_address=other_site)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/this-machine")
    expect(page.locator("#estimated")).to_contain_text("DGX_CORS_ORIGINS")
    page.goto("about:blank")  # it would try again for ever
    for expected in ("WebSocket", "CORS policy", "ERR_FAILED"):
        visitor.forgive(expected)


def choose(username: str, **fields: object) -> None:
    Preference.objects.update_or_create(user=User.objects.get(username=username), defaults=fields)
