"""Reading the ledger: groupings, odd spans, totals that close, price, and who sees what."""

import csv
import io
import random
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Role
from core.pagination import Page
from core.times import iso
from metrics.history.query import Span
from tests import factories
from tests.metrics.machines import MOMENT, held_machine, make_gpu
from tests.usage.people import GIB, MINUTE, free_gpu, moments, process, sample, save
from usage.grouping import GROUPINGS
from usage.models import UsageSettings
from usage.report import report, scope

HOUR = timedelta(hours=1)
ALL = Page(limit=500)


@pytest.fixture
def team():
    return factories.make_team()


@pytest.fixture
def machine(keeper, team):
    return held_machine(keeper, team)


@pytest.fixture
def viewer(team):
    user = factories.make_user()
    factories.join(user, team, Role.VIEWER)
    return user


def api_of(user):
    return Client(headers={"Authorization": f"Bearer {factories.make_token(user)}"})


def an_hour(keeper, machine, start=MOMENT):
    """ml and ana share GPU 0 as 3 : 1, half busy at 300 W; nobody has GPU 1 at 60 W."""
    gpus = [make_gpu(0), free_gpu(1)]
    holders = (process("ml", gib=30), process("ana"))
    save(keeper, machine, [sample(at, *holders, gpus=gpus) for at in moments(1800, start)])


def span(start=MOMENT, length=HOUR):
    return {"start": iso(start), "end": iso(start + length)}


def machines_of(*rows):
    return scope(type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]))


def test_by_user(keeper, machine, viewer):
    an_hour(keeper, machine)
    answer = api_of(viewer).get("/api/v1/usage", span()).json()
    assert answer["count"] == 3
    ml, ana, nobody = answer["items"]
    assert (ml["user"], ml["owner"]) == ("ml", "known")
    assert (ml["held_hours"], ml["gpu_hours"], ml["busy_gpu_hours"]) == (1.0, 0.75, 0.375)
    assert (ml["energy_kwh"], ml["memory_max_bytes"]) == (0.225, 30 * GIB)
    assert (ana["user"], ana["gpu_hours"], ana["idle_hours"]) == ("ana", 0.25, 0.0)
    assert (nobody["user"], nobody["owner"], nobody["free_gpu_hours"]) == (None, "nobody", 1.0)
    assert (nobody["gpu_hours"], nobody["held_hours"], nobody["idle_hours"]) == (0.0, 0.0, None)
    total = answer["total"]
    assert (total["gpu_hours"], total["free_gpu_hours"], total["energy_kwh"]) == (1.0, 1.0, 0.36)
    assert (total["cost"], answer["price_per_kwh"], answer["currency"]) == (None, None, None)


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("machine", [(None, None, 1.0, 1.0)]),
        ("gpu", [(0, None, 1.0, 0.0), (1, None, 0.0, 1.0)]),
        ("week", [(None, "2026-11-16T00:00:00.000Z", 1.0, 1.0)]),
        ("day", [(None, "2026-11-20T00:00:00.000Z", 1.0, 1.0)]),
    ],
)
def test_by_place_and_time(keeper, machine, viewer, group_by, expected):
    an_hour(keeper, machine)
    items = api_of(viewer).get("/api/v1/usage", {**span(), "group_by": group_by}).json()["items"]
    names = ("gpu", "start", "gpu_hours", "free_gpu_hours")
    assert [tuple(item[name] for name in names) for item in items] == expected
    has_machine = group_by in ("machine", "gpu")
    assert all(item["connection_name"] == (machine.name if has_machine else None) for item in items)


def test_by_container_and_what_is_not_known(keeper, machine, viewer):
    holders = (process("root", container="train"), process("root"), process(None))
    save(keeper, machine, [sample(at, *holders) for at in moments()])
    items = api_of(viewer).get("/api/v1/usage", {**span(), "group_by": "container"}).json()["items"]
    found = {(item["owner"], item["user"], item["container"]) for item in items}
    assert found == {("known", "root", "train"), ("known", "root", None), ("unknown", None, None)}


def test_a_price_makes_a_cost(keeper, machine, viewer):
    an_hour(keeper, machine)
    UsageSettings(price_per_kwh=Decimal("0.30"), currency="EUR").save()
    answer = api_of(viewer).get("/api/v1/usage", span()).json()
    assert (answer["currency"], answer["price_per_kwh"]) == ("EUR", 0.3)
    assert answer["total"]["cost"] == 0.108


def test_energy_that_no_gpu_tells_has_no_cost(keeper, machine, viewer):
    UsageSettings(price_per_kwh=Decimal("0.30"), currency="EUR").save()
    silent = make_gpu(power_watts=None)
    save(keeper, machine, [sample(at, process("ml"), gpus=[silent]) for at in moments()])
    total = api_of(viewer).get("/api/v1/usage", span()).json()["total"]
    assert (total["energy_kwh"], total["cost"]) == (None, None)


def test_nothing_in_the_span_is_an_empty_list(keeper, machine, viewer):
    answer = api_of(viewer).get("/api/v1/usage", span()).json()
    assert (answer["items"], answer["count"], answer["total"]["gpu_hours"]) == ([], 0, 0.0)
    assert answer["total"]["energy_kwh"] is None


def test_pages(keeper, machine, viewer):
    an_hour(keeper, machine)
    client = api_of(viewer)
    answer = client.get("/api/v1/usage", {**span(), "limit": 1, "offset": 1}).json()
    assert ([item["user"] for item in answer["items"]], answer["count"]) == (["ana"], 3)
    beyond = client.get("/api/v1/usage", {**span(), "offset": 9}).json()
    assert (beyond["items"], beyond["count"], beyond["total"]["gpu_hours"]) == ([], 3, 1.0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"start": "yesterday"}, "start"),
        ({"start": iso(MOMENT), "end": iso(MOMENT)}, "start"),
        ({"range": "24h", "start": iso(MOMENT)}, "range"),
        ({"range": "9y"}, "range"),
        ({"end": iso(MOMENT)}, "start"),
        ({"start": "2026-11-20T12:00:00"}, "start"),
    ],
)
def test_bad_input_is_refused(keeper, viewer, query, field):
    for path in ("/api/v1/usage", "/api/v1/usage/idle"):
        if path.endswith("idle") and "group_by" in query:
            continue
        answer = api_of(viewer).get(path, query)
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["field"].endswith(field)


def test_owner_teammate_and_stranger(keeper, machine, viewer):
    an_hour(keeper, machine)
    teammate, stranger = factories.make_user(), factories.make_user()
    factories.join(teammate, machine.team, Role.ADMINISTRATOR)
    factories.join(stranger, factories.make_team(), Role.ADMINISTRATOR)
    counts = {}
    for name, user in (("viewer", viewer), ("teammate", teammate), ("stranger", stranger)):
        answers = [
            api_of(user).get("/api/v1/usage", {**span(), "group_by": by}) for by in GROUPINGS
        ]
        counts[name] = [answer.json()["count"] for answer in answers]
    assert counts["viewer"] == counts["teammate"] == [3, 3, 1, 2, 1, 1]
    assert counts["stranger"] == [0] * 6


def test_a_machine_in_the_trash_is_not_counted(keeper, machine, viewer):
    an_hour(keeper, machine)
    machine.deleted_at = MOMENT
    machine.save()
    assert api_of(viewer).get("/api/v1/usage", span()).json()["count"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_any_span_equals_the_sum_of_its_minutes(keeper, machine, seed):
    """Hours and the minutes at the ends against the minutes alone, on random tables."""
    choose = random.Random(seed)
    samples = []
    for at in moments(60 * 5, MOMENT - timedelta(minutes=50)):
        holders = [
            process(choose.choice(["ml", "ana"]), 0, choose.choice([1, 5]))
            for _ in range(choose.randint(0, 2))
        ]
        gpu = free_gpu(0, power_watts=choose.choice([None, 100.0]))
        samples.append(
            sample(at + choose.randint(0, 20) * timedelta(minutes=6), *holders, gpus=[gpu])
        )
    save(keeper, machine, samples)
    machines = machines_of(machine)
    for _ in range(6):
        start = MOMENT + choose.randint(-60, 60) * MINUTE
        end = start + choose.randint(1, 150) * MINUTE
        found = report(machines, Span(start, end), "user", ALL)
        expected = _by_minutes(start, end)
        assert {
            line.user if not line.is_nobody else "": _numbers(line) for line in found.lines
        } == expected
        shares = sum(line.share_seconds + line.free_seconds for line in found.lines)
        assert found.total.share_seconds + found.total.free_seconds == pytest.approx(shares)


def _numbers(line):
    return pytest.approx((line.share_seconds + line.free_seconds, line.energy_wh or 0), abs=0.01)


def _by_minutes(start, end):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(o.\"user\", ''), share_seconds, energy_wh FROM usage_minute "
            "JOIN usage_owner o ON o.id = owner WHERE at >= %s AND at < %s",
            [start, end],
        )
        rows = cursor.fetchall()
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, seconds, energy in rows:
        found[name][0] += seconds
        found[name][1] += energy or 0
    return {name: tuple(sums) for name, sums in found.items()}


# --- Idle holders --------------------------------------------------------------------------------


def hold_idly(keeper, machine, minutes, start, gib=41):
    idle = make_gpu(utilization_percent=0.0)
    held = [sample(at, process("ml", gib=gib), gpus=[idle]) for at in moments(30 * minutes, start)]
    save(keeper, machine, held)


def test_who_is_idle_now_and_since_when(keeper, machine, viewer, monkeypatch):
    hold_idly(keeper, machine, 10, MOMENT)
    now = MOMENT + timedelta(minutes=11)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    [holder] = api_of(viewer).get("/api/v1/usage/idle", {"range": "24h"}).json()["items"]
    assert (holder["user"], holder["gpu"], holder["memory_bytes"]) == ("ml", 0, 41 * GIB)
    assert (holder["idle_since"], holder["idle_seconds"]) == (iso(MOMENT), 660)
    assert holder["idle_hours"] == round(1 / 6, 4)
    assert holder["connection_name"] == machine.name


def test_who_was_idle_is_told_over_the_range_but_not_as_now(keeper, machine, viewer):
    hold_idly(keeper, machine, 10, MOMENT)
    save(keeper, machine, [sample(at, process("ml")) for at in moments(30, MOMENT + 10 * MINUTE)])
    client = api_of(viewer)
    [holder] = client.get("/api/v1/usage/idle", span()).json()["items"]
    assert (holder["idle_since"], holder["idle_hours"]) == (None, round(1 / 6, 4))
    only_now = client.get("/api/v1/usage/idle", {**span(), "now": True}).json()
    assert (only_now["items"], only_now["count"]) == ([], 0)


def test_a_stranger_learns_of_no_idle_holder(keeper, machine):
    hold_idly(keeper, machine, 2, MOMENT)
    assert api_of(factories.make_user()).get("/api/v1/usage/idle", span()).json()["count"] == 0


# --- Pages ---------------------------------------------------------------------------------------


@pytest.fixture
def page(client, viewer):
    client.force_login(viewer)
    return client


def test_the_page_shows_totals_lines_and_idle_holders(keeper, machine, page):
    an_hour(keeper, machine)
    hold_idly(keeper, machine, 2, MOMENT + HOUR)
    text = page.get("/usage/", span(length=2 * HOUR)).content.decode()
    assert "1.0\u00a0h" in text
    assert "User <b>ml</b>" in text
    assert "nobody" in text


@pytest.mark.parametrize("query", [{}, {"range": "x", "by": "x", "page": "x"}, {"start": "x"},
                                   {"start": "2026-99-99T00:00Z"}, {"page": "9" * 30}])  # fmt: skip
def test_an_empty_page_and_nonsense_in_the_address(keeper, page, query):
    answer = page.get("/usage/", query)
    assert answer.status_code == 200
    assert "Nothing was counted" in answer.content.decode()


@pytest.mark.parametrize("by", GROUPINGS)
def test_the_page_asks_as_many_queries_for_many_lines(
    keeper, team, page, by, django_assert_max_num_queries
):
    for _ in range(4):
        machine = held_machine(keeper, team)
        holders = [process(f"user-{number}", gib=1 + number) for number in range(20)]
        save(keeper, machine, [sample(at, *holders) for at in moments(10)])
    with django_assert_max_num_queries(14):
        answer = page.get("/usage/", {**span(), "by": by})
    assert "Held idle" in answer.content.decode()


def test_the_csv_reads_back_and_holds_no_formula(keeper, machine, page):
    machine.name = "=HYPERLINK(1)"
    machine.save()
    an_hour(keeper, machine)
    save(
        keeper,
        machine,
        [sample(at, process("@SUM(1)"), process('-a,"b\n')) for at in moments(30, MOMENT + HOUR)],
    )
    long = span(length=2 * HOUR)
    rows = _read(page.get("/usage/csv", {**long, "by": "user"}))
    assert {row["user"] for row in rows} == {"ml", "ana", "", "'@SUM(1)", "'-a,\"b"}
    assert rows[0]["user"] == "ml"
    assert float(rows[0]["gpu_hours"]) == 0.75
    assert rows[0]["cost"] == ""
    assert {
        row["connection_name"] for row in _read(page.get("/usage/csv", {**long, "by": "gpu"}))
    } == {"'=HYPERLINK(1)"}


def _read(answer):
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def test_the_page_shows_the_chosen_team_alone(keeper, machine, page, viewer):
    other = held_machine(keeper)
    factories.join(viewer, other.team, Role.VIEWER)
    for one in (machine, other):
        an_hour(keeper, one)
    assert len(_read(page.get("/usage/csv", {**span(), "by": "machine"}))) == 2
    page.post("/teams/choose", {"team": str(other.team_id)})
    assert [
        row["connection_name"] for row in _read(page.get("/usage/csv", {**span(), "by": "machine"}))
    ] == [other.name]


# --- Settings ------------------------------------------------------------------------------------


def test_an_administrator_sets_the_price_and_it_is_written_down(keeper, client):
    boss = factories.make_user(is_superuser=True, is_staff=True)
    client.force_login(boss)
    form = {"price_per_kwh": "0.25", "currency": "EUR", "keep_days": "90"}
    refused = client.post("/admin/usage/usagesettings/add/", form | {"currency": ""})
    assert "A price needs its currency." in refused.content.decode()
    assert client.post("/admin/usage/usagesettings/add/", form).status_code == 302
    stored = UsageSettings.load()
    assert (stored.price_per_kwh, stored.currency, stored.keep_days) == (Decimal("0.25"), "EUR", 90)
    assert client.get("/admin/usage/usagesettings/add/").status_code == 403
    assert client.post("/admin/usage/usagesettings/1/delete/").status_code == 403
    with connection.cursor() as cursor:
        cursor.execute("SELECT action FROM accounts_auditevent ORDER BY id DESC LIMIT 1")
        assert cursor.fetchone()[0].startswith("usage_settings.")
