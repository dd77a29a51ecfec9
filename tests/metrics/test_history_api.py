"""The history over the REST API: its shape, its limits, its size."""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from metrics.history import tiers
from metrics.history.columnar import accepts_gzip
from metrics.history.window import GpuWindow, Window
from tests.factories import join, make_connection, make_user
from tests.metrics.stored import ends, machine_of, steady, store

pytestmark = pytest.mark.django_db

NAMES = [
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_watts",
    "network_rx_bytes_per_second",
    "network_tx_bytes_per_second",
]


@pytest.fixture
def row():
    return make_connection()


@pytest.fixture
def ask(row, client):
    user = make_user()
    join(user, row.team)
    client.force_login(user)

    def get(query="", **headers):
        return client.get(f"/api/v1/connections/{row.pk}/metrics/history{query}", headers=headers)

    return get


def a_day_ago():
    return tiers.RAW.start_of(datetime.now(UTC)) - timedelta(days=1)


def test_columns_with_their_times(ask, row):
    start = a_day_ago() + timedelta(hours=23)
    store(machine_of(row), [steady(at, 12.3456) for at in ends(start, 90)])
    answer = ask("?range=1h")
    body = answer.json()
    assert (body["tier"], body["resolution_seconds"]) == ("raw", 20)
    assert set(body) == {"tier", "resolution_seconds", "series"}
    series = body["series"]
    assert set(NAMES) < set(series)
    assert len(series["timestamp"]) == 180
    assert series["timestamp"] == sorted(series["timestamp"])
    assert datetime.fromisoformat(series["timestamp"][0]).tzinfo is not None
    assert series["timestamp"][0].endswith("Z")
    for statistic in ("avg", "min", "max"):
        assert set(series["gpu_power_watts"][statistic]) == {12.35, None}
        assert len(series["gpu_power_watts"][statistic]) == 180


@pytest.mark.parametrize(
    "query",
    [
        "?range=2h",
        "?range=",
        "?range=999y",
        "?range=1h&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z",
        "?range=1h&end=2026-01-02T00:00:00Z",
        "?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z",
        "?start=2026-01-02T00:00:00Z&end=2026-01-02T00:00:00Z",
        "?end=2026-01-02T00:00:00Z",
        "?start=yesterday",
        "?start=0001-01-01T00:00:00Z",
        "?start=2026-01-01T00:00:00Z&end=9999-12-31T23:59:59Z",
        "?max_points=0",
        "?max_points=20001",
        "?max_points=-1",
        "?max_points=many",
        "?gpu=-1",
        "?gpu=32768",
        "?gpu=first",
        "?metrics=",
        "?metrics=cpu_percent,no_such",
        "?metrics=cpu_percent_avg",
    ],
)
def test_what_makes_no_sense_is_422(ask, query):
    answer = ask(query)
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"]


@pytest.mark.parametrize(("range_", "tier"), [("6h", "raw"), ("30d", "hourly"), ("12m", "daily")])
def test_each_range_says_its_tier(ask, range_, tier):
    body = ask(f"?range={range_}").json()
    assert body["tier"] == tier
    assert len(body["series"]["timestamp"]) <= 1500


def test_without_a_range_it_is_24_hours_in_at_most_1500_steps(ask):
    body = ask().json()
    assert body["resolution_seconds"] == 60
    assert len(body["series"]["timestamp"]) == 1440


def test_one_gpu_adds_what_only_a_gpu_has(ask):
    of_gpu = ask("?range=1h&gpu=0").json()["series"]
    of_all = ask("?range=1h&gpu=all").json()["series"]
    assert set(of_gpu) - set(of_all) == {
        "gpu_sm_clock_mhz",
        "gpu_throttled",
        "gpu_memory_used_bytes",
    }


def test_some_series_only(ask):
    body = ask("?metrics=cpu_percent,gpu_percent").json()
    assert set(body["series"]) == {"timestamp", "cpu_percent", "gpu_percent"}


def test_a_stranger_finds_nothing(row, client):
    stranger = make_user()
    join(stranger, make_connection().team)
    client.force_login(stranger)
    assert client.get(f"/api/v1/connections/{row.pk}/metrics/history").status_code == 404


# --- Size ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("gzip;q=nonsense", False),
        ("identity", False),
    ],
)
def test_gzip_only_for_who_takes_it(header, accepted):
    assert accepts_gzip(header) is accepted


def test_the_answer_is_compressed_where_it_may_be(ask):
    plain, small = ask("?range=1h"), ask("?range=1h", accept_encoding="gzip")
    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small["Vary"]
    assert "Accept-Encoding" in plain["Vary"]
    assert json.loads(gzip.decompress(small.content))["series"]["timestamp"]
    assert len(small.content) < len(plain.content) / 10


def test_a_day_of_a_chart_is_at_most_15_kilobytes(ask, row, capsys):
    """Three charts' worth of a machine at work: 1,440 steps of mean, least and greatest."""
    generator = random.Random(7)
    store(machine_of(row), [_at_work(at, generator) for at in ends(a_day_ago(), 4320)])
    names = ("gpu_percent", "gpu_memory_percent", "gpu_temperature_c")
    sizes = {name: len(_small(ask, f"?metrics={name}")) for name in names}
    together = len(_small(ask, f"?metrics={','.join(names)}"))
    with capsys.disabled():
        print(
            f"\n24 h by gzip: {sizes} bytes, the three together {together}, all {len(_small(ask))}"
        )
    assert together <= 15_000


def _small(ask, query=""):
    return ask(query, accept_encoding="gzip").content


def _at_work(at: datetime, generator: random.Random) -> Window:
    """Utilisation and temperature in whole numbers, as nvidia-smi tells them; memory is steady."""
    busy = at.hour % 6 > 1
    readings = [generator.randint(88, 100) if busy else 0 for _ in range(10)]
    percent = (sum(readings) / 10, min(readings), max(readings))
    heat = 55 + (at.minute // 7) + generator.randint(0, 1) if busy else 38
    memory = 41.234 if busy else 3.21
    numbers: tuple[float, ...] = (12.5, 11.0, 14.0) * 3 + (
        *percent,
        memory,
        memory,
        memory,
        heat - 0.4,
        heat - 1,
        heat,
    )
    numbers += (310.25 + generator.random() * 20, 290.5, 350.75) + (1e6, 1e5, 2e6) * 2
    numbers += (60.0, 60.0, 60.0) * 3
    return Window(at, 10, numbers, (GpuWindow(0, "GPU-0", None, 10, (1.0,) * 21),))
