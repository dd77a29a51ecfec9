"""From the login to live numbers, as a person goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, Route, expect
from redis import Redis

from connections.models import Connection, Status
from connections.serializers import as_dict
from core import topics
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor

Visit = Callable[..., Visitor]


def test_login_leads_to_all_machines(visit: Visit, fleet: Fleet) -> None:
    fleet.add("Spark 1")
    page = visit().log_in("boss")
    expect(page.get_by_role("link", name="Spark 1", exact=True)).to_be_visible()
    expect(page).to_have_title("Machines · dgxsite")


def test_wrong_password_is_told_in_one_neutral_sentence(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    page = visitor.open("/accounts/login/")
    page.get_by_label("User name or e-mail").fill("boss")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")


def test_overview_follows_each_sample(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0))
    page = visit().enter("boss").open("/")
    row = page.locator(f"tr[data-id='{spark.pk}']")
    expect(row.locator("[data-v=gpu]")).to_have_text("55\u00a0%")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(9))
    expect(row.locator("[data-v=gpu]")).to_have_text("95\u00a0%")
    expect(row.locator("[data-v=users]")).to_have_text("mara, ollama")
    expect(page.locator("#totals [data-v=gpus]")).to_have_text("1")


def test_overview_shows_a_lost_machine_with_reason_and_next_try(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    page = visit().enter("boss").open("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    spark.status, spark.reason = Status.CONNECTING, "unreachable"
    spark.retry_at = datetime.now(UTC) + timedelta(seconds=25)
    announce(spark)
    row = page.locator(f"tr[data-id='{spark.pk}']")
    expect(row.locator("[data-v=status]")).to_have_text("connecting")
    expect(row.locator("[data-v=why]")).to_contain_text("unreachable")
    expect(row.locator("[data-v=why]")).to_contain_text("next try in")


def test_metrics_follow_each_sample(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, *(scenes.spark(step) for step in range(5)))
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/?tab=metrics")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(9))
    card = page.locator("[data-gauge=utilization]")
    expect(card.locator("[data-v=text]")).to_have_text("95")
    expect(card.locator("[data-v=word]")).to_have_text("busy")
    expect(page.locator("[data-gauge=memory] [data-v=detail]")).to_contain_text("unified memory")
    assert page.locator("svg.bars rect.high").count() >= 1
    assert page.locator("svg.bars rect.none").count() == 60 - 6


def test_browser_and_server_say_the_same_of_a_sample(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Server")
    fleet.record(machine, scenes.server(3))
    path = f"/machines/{machine.pk}/?tab=metrics"
    plain = visit(java_script=False)
    plain.enter("boss")
    painted = readings(plain.open(path))
    scripted = visit()
    scripted.enter("boss")
    page = scripted.open(path)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    # A first live sample makes the script write every value, with the very same readings.
    fleet.record(machine, scenes.server(3))
    expect(page.locator("[data-v=session]")).to_contain_text("0 B")
    assert readings(page) == painted


def test_a_page_made_without_the_traffic_since_connected_asks_for_it(
    visit: Visit, fleet: Fleet, redis_client: Redis
) -> None:
    machine = fleet.add("Server")
    fleet.record(machine, scenes.server(3))
    key = f"dgx:session:{machine.pk}"
    kept = redis_client.getdel(key)
    assert kept is not None
    visitor = visit()
    visitor.enter("boss")

    def remember(route: Route) -> None:
        if "hx-request" in route.request.headers:
            redis_client.set(key, kept)
        route.continue_()

    visitor.page.route(f"**/machines/{machine.pk}/**", remember)
    page = visitor.open(f"/machines/{machine.pk}/?tab=metrics")
    expect(page.locator("[data-v=session]")).to_contain_text("0 B")


def test_first_sample_fills_a_page_that_had_none(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/?tab=metrics")
    expect(page.get_by_role("heading", name="No readings yet")).to_be_visible()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fleet.record(spark, scenes.spark(0))
    expect(page.locator("[data-gauge=utilization] [data-v=text]")).to_have_text("55")


def test_old_readings_are_greyed_and_say_from_when(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    fleet.record(spark, scenes.spark(0, now=datetime.now(UTC) - timedelta(seconds=60)))
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/?tab=metrics")
    expect(page.locator("#metrics")).to_have_attribute("data-stale", "")
    expect(page.locator("[data-v=stale]")).to_contain_text("last value")


def test_several_gpus_come_as_small_multiples_and_one_by_one(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("Server")
    fleet.record(machine, scenes.server(3))
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{machine.pk}/?tab=metrics")
    expect(page.locator("[data-gpu-panel]")).to_have_count(8)
    page.get_by_role("navigation", name="GPU", exact=True).get_by_role("link", name="GPU 7").click()
    expect(page.locator("[data-gpu-panel]")).to_have_count(1)
    expect(page.locator("[data-gauge=utilization]")).to_contain_text("not reported by this GPU")
    expect(page.locator("[data-gauge=power]").get_by_role("link", name="why?")).to_be_visible()


def test_connection_tab_follows_the_state(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1", status=Status.CONNECTING)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    offered = "SHA256:" + "B" * 43
    Connection.objects.filter(pk=spark.pk).update(
        status=Status.ERROR, reason="host_key_unknown", offered_host_key=offered
    )
    spark.refresh_from_db()
    announce(spark)
    expect(page.get_by_role("heading", name="Is this Spark 1?")).to_be_visible()
    page.get_by_role("button", name="Accept this key and connect").click()
    expect(page.get_by_role("heading", name="Is this Spark 1?")).to_have_count(0)
    spark.refresh_from_db()
    assert spark.host_key == offered


def test_changed_host_key_blocks_until_it_was_compared(visit: Visit, fleet: Fleet) -> None:
    old, new = ("SHA256:" + letter * 43 for letter in "AB")
    spark = fleet.add(
        "Spark 1",
        status=Status.ERROR,
        reason="host_key_changed",
        host_key=old,
        offered_host_key=new,
    )
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/")
    page.get_by_role("button", name="Replace the accepted key").click()
    spark.refresh_from_db()
    assert spark.host_key == old  # the browser insists on the check box
    page.get_by_label("I compared the offered fingerprint").check()
    page.get_by_role("button", name="Replace the accepted key").click()
    expect(page.get_by_role("alert").get_by_role("heading")).to_have_count(0)
    spark.refresh_from_db()
    assert spark.host_key == new


def test_disconnect_reacts_at_once(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    page = visit().enter("boss").open("/")
    page.get_by_role("button", name="Disconnect Spark 1").click()
    expect(page.get_by_role("button", name="Connect Spark 1")).to_be_visible()
    spark.refresh_from_db()
    assert not spark.is_active


def test_machine_is_added_with_a_key_made_here(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    page.get_by_role("link", name="Add machine").first.click()
    page.get_by_label("Name", exact=True).fill("Spark 9")
    page.get_by_label("Host", exact=True).fill("192.0.2.9")
    page.get_by_label("User name").fill("ml")
    page.get_by_role("button", name="Add machine").click()
    expect(page.get_by_role("heading", name="Public key of this site")).to_be_visible()
    expect(page.get_by_text("authorized_keys")).to_contain_text("ssh-ed25519 ")
    assert Connection.objects.get(name="Spark 9").secret("private_key")


def test_wrong_fields_are_told_beside_what_was_typed(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/machines/add")
    page.get_by_label("Name", exact=True).fill("Spark 9")
    page.get_by_label("Host", exact=True).fill("-oProxyCommand=x")
    page.get_by_label("User name").fill("ml")
    page.get_by_text("Paste a key").click()
    page.get_by_label("Private key").fill("not a key")
    page.get_by_role("button", name="Add machine").click()
    expect(page.locator("#hostname-error")).not_to_be_empty()
    expect(page.get_by_label("Host", exact=True)).to_be_focused()
    expect(page.get_by_label("Private key")).to_have_value("not a key")
    visitor.forgive("422")


def test_deleted_machine_comes_back_by_undo(visit: Visit, fleet: Fleet) -> None:
    spark = fleet.add("Spark 1")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/machines/{spark.pk}/")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Spark 1 was moved to the trash.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Spark 1")).to_be_visible()
    assert Connection.objects.living().filter(pk=spark.pk).exists()


def readings(page: Page) -> list[str]:
    """Every value that stands in the page, and the shape of every bar."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(
            "#metrics [data-v]:not([data-v=session], [data-v=stale]), #metrics svg.gauge .arc")]
          .filter((e) => !e.closest("[hidden]"))
          .map((e) => [e.dataset.v, e.textContent, e.getAttribute("width"),
                       e.getAttribute("stroke-dasharray"),
                       e.closest("[data-level]")?.dataset.level].join("|"))"""
    )
    return found


def announce(connection: Connection) -> None:
    """Tell the browsers of a change, as the keeper does."""
    topics.publish(connection.team_id, [topics.status_item(as_dict(connection))])
