"""What holds for every page: accessible, narrow, light, strict, and deaf to hostile names."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from connections.models import Connection, Status
from core.formats import size
from metrics.collectors.readings import Gpu, Health, Network, Process, Sample
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.scenes import GIB

Visit = Callable[..., Visitor]

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\"><svg onload=alert(1)>",
    "{{7*7}} %s%n ${7*7}",
)
# Bytes on the wire, compressed; the design counts bodies.
_LIMITS = {"Stylesheet": 15 * 1024, "Script": 30 * 1024}
_METRICS_SCRIPT_LIMIT = 55 * 1024


@pytest.mark.timeout(400)  # some twenty pages, each read by axe
@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_breaks_an_accessibility_rule_or_scrolls_sideways(
    visit: Visit, fleet: Fleet, width: int
) -> None:
    paths = furnish(fleet)
    visitor = visit(width)
    found: dict[str, object] = {}
    for path in ("/accounts/login/", "/accounts/password/reset/", "/accounts/signup/"):
        check(visitor.open(path), path, width, found)
    visitor.enter("boss")
    for path in paths:
        page = visitor.open(path)
        if page.locator("#live").count():
            expect(page.locator("#live")).to_have_attribute("data-state", "live")
        check(page, path, width, found)
    visitor.forgive("404")
    assert found == {}


@pytest.mark.timeout(400)  # some twenty pages, each read by axe
@pytest.mark.parametrize("width", [1280, 360])
def test_a_viewers_pages_are_accessible_too(visit: Visit, fleet: Fleet, width: int) -> None:
    paths = furnish(fleet)
    visitor = visit(width)
    visitor.enter("guest")
    found: dict[str, object] = {}
    for path in (path for path in paths if path == "/" or path.startswith("/machines/")):
        check(visitor.open(path), path, width, found)
    visitor.forgive("403")
    assert found == {}


def test_viewer_sees_why_a_control_is_off(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    page = visit().enter("guest").open("/")
    expect(page.get_by_role("button", name="Disconnect Spark 1")).to_be_disabled()
    expect(page.get_by_text("needs operator")).to_be_visible()
    expect(page.get_by_role("button", name="Add machine")).to_be_disabled()


def test_hostile_names_are_text(visit: Visit, fleet: Fleet) -> None:
    machines = [fleet.add(name, tags=[name[:50]]) for name in HOSTILE]
    for machine in machines:
        fleet.record(machine, hostile_sample(machine.name))
    visitor = visit()
    page = visitor.enter("boss").open("/")
    for machine in machines:
        expect(page.locator(f"tr[data-id='{machine.pk}'] a").first).to_have_text(machine.name)
    for machine in machines:
        for tab in ("connection", "metrics"):
            shown = visitor.open(f"/machines/{machine.pk}/?tab={tab}")
            expect(shown.get_by_role("heading", level=1)).to_have_text(machine.name)
            expect(shown.locator("#live")).to_have_attribute("data-state", "live")
            if tab == "metrics":
                fleet.record(machine, hostile_sample(machine.name, carried=3 * GIB))
                carried = shown.locator("[data-v=session]")
                expect(carried).to_have_text(f"{machine.name}: {size(3 * GIB)} in, {size(0)} out")
        assert shown.locator("main script, main img, main [onload]").count() == 0


def test_pages_stay_within_their_budgets(visit: Visit, fleet: Fleet) -> None:
    paths = furnish(fleet)
    visitor = visit()
    visitor.enter("boss")
    for path in paths:
        sizes, count = first_view(visitor, path)
        limits = dict(_LIMITS)
        if "tab=metrics" in path or path == "/this-machine":
            limits["Script"] = _METRICS_SCRIPT_LIMIT
        for kind, limit in limits.items():
            assert sizes.get(kind, 0) <= limit, (path, kind, sizes)
        assert count <= 15, (path, count)
    visitor.forgive("404")


def test_no_page_calls_another_host(visit: Visit, fleet: Fleet) -> None:
    paths = furnish(fleet)
    visitor = visit()
    hosts = set()
    visitor.page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    visitor.enter("boss")
    for path in paths:
        visitor.open(path)
    visitor.forgive("404")
    assert hosts == {visitor.site.removeprefix("http://")}


def test_keyboard_reaches_content_and_filter_first(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    fleet.add("Other")
    page = visit().enter("boss").open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Filter machines")).to_be_focused()
    page.keyboard.type("spark")
    expect(page.locator("tbody tr:visible")).to_have_count(1)


def test_menu_closes_with_escape_and_gives_the_focus_back(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    menu = page.locator("details.menu").last
    menu.locator("summary").click()
    expect(page.get_by_role("link", name="Account and tokens")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Account and tokens")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()


def check(page: Page, path: str, width: int, found: dict[str, object]) -> None:
    """Note what axe says about the page, and a page that is wider than its window."""
    violations = Axe().run(page).response["violations"]
    broken = [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in violations]
    overflow = page.evaluate("document.documentElement.scrollWidth") - width
    if broken or overflow > 0:
        found[path] = (broken, overflow)


def furnish(fleet: Fleet) -> list[str]:
    """One machine of each kind; the addresses of all pages."""
    key = "SHA256:" + "A" * 43
    spark = fleet.add(
        "Spark 1", tags=["lab", "inference"], host_key=key, public_key="ssh-ed25519 A"
    )
    server = fleet.add("Server with a name that is much longer than what fits a narrow screen")
    laptop = fleet.add("Laptop")
    off = fleet.add("Off", status=Status.DISCONNECTED, is_active=False)
    new = fleet.add("New", status=Status.ERROR, reason="host_key_unknown", offered_host_key=key)
    changed = fleet.add(
        "Changed",
        status=Status.ERROR,
        reason="host_key_changed",
        host_key=key,
        offered_host_key=key.lower().replace("sha", "SHA"),
    )
    fleet.record(spark, *(scenes.spark(step) for step in range(20)))
    fleet.record(server, scenes.server(3))
    fleet.record(laptop, scenes.laptop())
    return [
        "/",
        "/?state=error&sort=gpu&dir=desc",
        "/?q=nothing-fits",
        *(metrics_of(machine) for machine in (spark, server, laptop, off)),
        f"{metrics_of(server)}&gpu=0",
        f"{metrics_of(server)}&gpu=7",
        *(f"/machines/{machine.pk}/" for machine in (spark, off, new, changed)),
        "/machines/add",
        f"/machines/{spark.pk}/edit",
        "/this-machine",
        "/account/",
        "/accounts/password/change/",
        "/accounts/logout/",
        "/there-is-no-such-page",
    ]


def metrics_of(machine: Connection) -> str:
    return f"/machines/{machine.pk}/?tab=metrics"


def hostile_sample(text: str, carried: int = 0) -> Sample:
    """A sample in which every text is the same hostile one, with the bytes of its interface."""
    return Sample(
        recorded_at=scenes.spark().recorded_at,
        gpus=(Gpu(index=0, uuid=text, name=text, throttle_reasons=(text,)),),
        processes=(Process(text, 1, text, text, text, 1),),
        networks=(Network(text, 7 + carried, 7, 1, 1, 0.0, 0.0, is_default=True),),
        health=(Health(text, ok=False, detail=text),),
    )


def first_view(visitor: Visitor, path: str) -> tuple[dict[str, int], int]:
    """Bytes of the bodies on the wire by kind, and requests, with an empty cache."""
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}
    heads: dict[str, int] = {}

    def responded(event: dict[str, Any]) -> None:
        kinds[event["requestId"]] = event["type"]
        heads[event["requestId"]] = int(event["response"]["encodedDataLength"])

    session.on("Network.responseReceived", responded)

    def finished(event: dict[str, object]) -> None:
        kind = kinds.get(str(event["requestId"]), "Other")
        length = int(str(event["encodedDataLength"]).split(".")[0])
        sizes[kind] = sizes.get(kind, 0) + length - heads.get(str(event["requestId"]), 0)

    session.on("Network.loadingFinished", finished)
    visitor.open(path)
    visitor.page.wait_for_load_state("networkidle")
    session.detach()
    return sizes, len(kinds)
