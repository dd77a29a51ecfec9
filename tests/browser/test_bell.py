"""The bell and the notification pages in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from accounts.models import User
from notifications.events import notify
from notifications.models import Channel, Delivery, Notification
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import HOSTILE, check

Visit = Callable[..., Visitor]


def pages(fleet: Fleet) -> list[str]:
    """A list with something read and something unread, and a channel with a log."""
    channel = Channel(team=fleet.team, name="A channel with a name that is long " * 2)
    channel.set_secret("url", "slack://a/b/c")
    channel.shown_url = "slack://…"
    channel.save()
    for kind, title in (
        ("host_key_changed", "Spark 1 shows another host key"),
        ("unreachable", "A" * 150),
        ("recovered", "Spark 1 is back"),
    ):
        notify(fleet.team, kind, title, "Some words about it. " * 5, link="/this-machine")
    Notification.objects.filter(event__kind="recovered").update(read_at="2026-11-20T12:00Z")
    Delivery.objects.update(status="failed", attempts=7, detail="The receiver answered 500.")
    return [
        "/notifications/",
        "/notifications/choices",
        "/notifications/channels",
        f"/notifications/channels/{channel.pk}",
    ]


@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_breaks_an_accessibility_rule_or_scrolls_sideways(
    visit: Visit, fleet: Fleet, width: int
) -> None:
    visitor = visit(width)
    visitor.enter("boss")
    found: dict[str, object] = {}
    for path in pages(fleet):
        check(visitor.open(path), path, width, found)
    assert found == {}


@pytest.mark.parametrize("path", ["/", "/account/", "/this-machine"])
def test_the_bell_follows_on_every_page(visit: Visit, fleet: Fleet, path: str) -> None:
    fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("guest")
    page = visitor.open(path)
    expect(page.locator("#bell")).to_have_attribute("data-live", "")
    count = page.locator("#bell .bell-count")
    expect(count).to_be_hidden()
    for title in HOSTILE[:2]:
        notify(fleet.team, "unreachable", title)
        expect(page.locator(".toast", has_text=title)).to_be_visible()
    expect(count).to_have_text("2 unread")
    page.locator("#bell").click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("heading", name="Nothing unread")).to_be_visible()
    expect(count).to_be_hidden()


def test_reading_elsewhere_clears_this_bell(visit: Visit, fleet: Fleet) -> None:
    notify(fleet.team, "unreachable", "Spark 1 is out of reach")
    page = visit().enter("guest").open("/")
    expect(page.locator("#bell .bell-count")).to_have_text("1 unread")
    other = visit(360)
    other.enter("guest")
    other.open("/notifications/").get_by_role("button", name="Mark all as read").click()
    expect(page.locator("#bell .bell-count")).to_be_hidden()


def test_the_list_works_without_java_script(visit: Visit, fleet: Fleet) -> None:
    notify(fleet.team, "unreachable", "Spark 1 is out of reach", link="/this-machine")
    visitor = visit(java_script=False)
    page = visitor.enter("guest").open("/")
    expect(page.locator("#bell .bell-count")).to_have_text("1 unread")
    page.get_by_role("link", name="Notifications").click()
    page.get_by_role("button", name="Open Spark 1 is out of reach").click()
    page.wait_for_url("**/this-machine")
    expect(page.locator("#bell .bell-count")).to_be_hidden()
    assert User.objects.get(username="guest").notifications.get().read_at is not None


def test_desktop_notifications_are_asked_for_once(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("guest")
    visitor.context.grant_permissions(["notifications"])
    page = visitor.open("/notifications/choices")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("They are on")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("They are off.")).to_be_visible()
