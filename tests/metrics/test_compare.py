"""Comparing: every figure against one computed here from the rows, and what is refused."""

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Role, Scope
from connections.models import Connection
from metrics.compare import table as compare_table
from metrics.history import tiers
from metrics.history.query import Span
from metrics.history.tiers import HOURLY, RAW, Tier
from metrics.models import Machine
from tests import factories

pytestmark = pytest.mark.django_db

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
Rows = Sequence[tuple[datetime, Mapping[str, float | None]]]


@pytest.fixture
def people() -> dict[str, Any]:
    """A viewer of a team, a stranger, and their clients."""
    team = factories.make_team()
    found: dict[str, Any] = {"team": team}
    for name in ("viewer", "stranger"):
        user = factories.make_user(name)
        token = factories.make_token(user, Scope.READ)
        found[name] = Client(headers={"Authorization": f"Bearer {token}"})
        if name == "viewer":
            factories.join(user, team, Role.VIEWER)
    return found


def store(row: Connection, tier: Tier, rows: Rows, gpu: int | None = None) -> None:
    """Write rows as they are given; least and greatest lie one below and two above the mean."""
    machine = Machine.objects.get_or_create(connection=row)[0]
    table = tier.machine if gpu is None else tier.gpu
    tiers.ensure_days(sorted({at.date() for at, _ in rows}))
    with connection.cursor() as cursor:
        for at, values in rows:
            cells: dict[str, Any] = {"at": at, "machine": machine.pk}
            cells |= {} if gpu is None else {"gpu": gpu}
            cells |= {"readings": values["readings"]} if tier is RAW else {}
            for name, value in values.items():
                if name != "readings" and value is not None:
                    cells |= {
                        f"{name}_avg": value,
                        f"{name}_min": value - 1,
                        f"{name}_max": value + 2,
                    }
                    cells |= {} if tier is RAW else {f"{name}_count": values["readings"]}
            places = ", ".join(["%s"] * len(cells))
            cursor.execute(
                f"INSERT INTO {table.name} ({', '.join(cells)}) VALUES ({places})",
                list(cells.values()),
            )


def windows(values: Sequence[float | None], start: datetime = START) -> Rows:
    """One raw row per value, 20 seconds each, with fewer readings every third time."""
    return [
        (
            start + timedelta(seconds=20 * (place + 1)),
            {
                "gpu_percent": value,
                "gpu_power_watts": None if value is None else 3 * value,
                "readings": 10 if place % 3 else 4,
            },
        )
        for place, value in enumerate(values)
    ]


def test_raw_figures_equal_an_independent_computation() -> None:
    row = factories.make_connection()
    values = [float((7 * place) % 101) for place in range(90)]
    store(row, RAW, windows(values))
    (found,) = compare_table.compare([item(row, 0.5)], 1500)
    weights = [10 if place % 3 else 4 for place in range(90)]
    figures = found.summary["gpu_percent"]
    mean = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
    assert figures.mean == pytest.approx(mean, rel=1e-6)
    assert figures.p95 == pytest.approx(percentile(values), rel=1e-6)
    assert figures.max == max(values) + 2
    assert found.energy_wh == pytest.approx(sum(3 * v * 20 for v in values) / 3600, rel=1e-6)


def test_a_gap_adds_no_energy_and_what_nobody_reports_is_absent() -> None:
    row = factories.make_connection()
    store(row, RAW, windows([100.0, None, 100.0]))
    (found,) = compare_table.compare([item(row, 0.5)], 1500)
    assert found.energy_wh == pytest.approx(2 * 300 * 20 / 3600)
    assert found.summary["gpu_percent"].mean == 100.0
    assert found.summary["disk_percent"] == compare_table.Figures(None, None, None)


def test_hourly_energy_counts_an_hour_no_further_than_the_end() -> None:
    row = factories.make_connection()
    start = START - timedelta(days=10)
    hours = [
        (start + timedelta(hours=hour), {"gpu_power_watts": 100.0 * (hour + 1), "readings": 1800})
        for hour in range(72)
    ]
    store(row, HOURLY, hours)
    span = Span(start, start + timedelta(hours=60, minutes=30))
    (found,) = compare_table.compare([compare_table.Item(row, span, None, "own")], 100)
    whole = sum(100.0 * (hour + 1) for hour in range(60))
    assert found.curves.tier is HOURLY
    assert found.energy_wh == pytest.approx(whole + 6100.0 / 2, rel=1e-6)


def test_one_gpu_has_its_own_figures_and_the_machines_for_the_rest() -> None:
    row = factories.make_connection()
    store(row, RAW, [(at, {**values, "cpu_percent": 12.0}) for at, values in windows([40.0] * 9)])
    store(row, RAW, windows([90.0] * 9), gpu=1)
    whole, one, none = compare_table.compare(
        [item(row, 0.5), item(row, 0.5, gpu=1), item(row, 0.5, gpu=7)], 1500
    )
    assert whole.summary["gpu_percent"].mean == 40.0
    assert one.summary["gpu_percent"].mean == 90.0
    assert one.summary["cpu_percent"].mean == 12.0
    assert one.energy_wh == pytest.approx(270 * 180 / 3600)
    assert none.summary["gpu_percent"].mean is None
    assert none.energy_wh is None


def test_a_machine_without_history_is_all_absent() -> None:
    (found,) = compare_table.compare([item(factories.make_connection(), 1)], 10)
    assert found.energy_wh is None
    assert {figures.max for figures in found.summary.values()} == {None}


def test_api_answers_every_pair_from_its_start_on(people: dict[str, Any]) -> None:
    rows = [factories.make_connection(people["team"]) for _ in range(2)]
    for row in rows:
        store(row, RAW, windows([50.0] * 180))
    own = f"{stamp(START)}/{stamp(START + timedelta(hours=1))}"
    query = {"connections": ",".join(str(row.pk) for row in rows), "ranges": f"24h,{own}"}
    items = people["viewer"].get("/api/v1/compare", query).json()["items"]
    assert [one["connection_id"] for one in items] == [str(rows[0].pk)] * 2 + [str(rows[1].pk)] * 2
    assert [one["gpu"] for one in items] == [None] * 4
    second = items[1]
    assert second["start"] == stamp(START)
    assert second["series"]["offset_seconds"][0] == 20
    assert second["series"]["gpu_percent"]["avg"][0] == 50.0
    assert second["resolution_seconds"] == 20
    assert second["summary"]["gpu_percent"] == {"mean": 50.0, "p95": 50.0, "max": 52.0}
    assert second["energy_wh"] == pytest.approx(150.0)


def test_api_takes_gpus_too(people: dict[str, Any]) -> None:
    row = factories.make_connection(people["team"])
    query = {"connections": str(row.pk), "ranges": "24h", "gpu": "all,0,3"}
    answer = people["viewer"].get("/api/v1/compare", query)
    assert [one["gpu"] for one in answer.json()["items"]] == [None, 0, 3]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"connections": "nonsense"}, "connections"),
        ({"connections": ""}, "connections"),
        ({"ranges": "25h"}, "range"),
        ({"ranges": "today/tomorrow"}, "ranges"),
        ({"ranges": "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z"}, "start"),
        ({"gpu": "-1"}, "gpu"),
        ({"gpu": "99999"}, "gpu"),
        ({"gpu": ",".join(map(str, range(13)))}, "connections"),
        ({"max_points": "0"}, "max_points"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    people: dict[str, Any], change: dict[str, str], field: str
) -> None:
    row = factories.make_connection(people["team"])
    answer = people["viewer"].get("/api/v1/compare", {"connections": str(row.pk)} | change)
    assert answer.status_code == 422, answer.content
    assert [error["field"].split(".")[-1] for error in answer.json()["errors"]] == [field]


def test_a_stranger_finds_nothing_to_compare(people: dict[str, Any]) -> None:
    row = factories.make_connection(people["team"])
    query = {"connections": str(row.pk)}
    assert people["stranger"].get("/api/v1/compare", query).status_code == 404


def item(row: Connection, hours: float, gpu: int | None = None) -> compare_table.Item:
    return compare_table.Item(row, Span(START, START + timedelta(hours=hours)), gpu, "own")


def percentile(values: Sequence[float]) -> float:
    """The 95th, between neighbours where it falls between them."""
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
