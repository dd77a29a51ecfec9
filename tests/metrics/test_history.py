"""Reading the history: spans, tiers, steps, the running hour and day, and what is not there."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from metrics import history, rollup, tiers
from metrics.history import Span
from tests.factories import join, make_connection, make_user
from tests.metrics.stored import ends, machine_of, steady, store

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def empty():
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(table.name for table in tiers.TABLES))


@pytest.fixture
def row():
    return make_connection()


def test_an_hour_of_windows_comes_back_as_it_was_written(row):
    moments = ends(NOON, 180)
    store(machine_of(row), [steady(at, float(step)) for step, at in enumerate(moments)])
    found = history.slice(row.pk, Span(NOON, NOON + HOUR), tier=tiers.RAW)
    assert (found.tier, found.resolution_seconds) == (tiers.RAW, 20)
    assert found.timestamps == moments
    assert found.series["cpu_percent"]["avg"] == [float(step) for step in range(180)]


@pytest.mark.parametrize("rolled_up", [False, True])
def test_hours_and_days_are_the_same_before_and_after_the_roll_up(row, rolled_up):
    for hour in range(3):
        begin = NOON + hour * HOUR
        store(machine_of(row), [steady(at, 10.0 + hour, gpus=2) for at in ends(begin, 180)])
    if rolled_up:
        assert rollup.roll_up(NOON + timedelta(days=2)) == 4
    span = Span(NOON, NOON + 4 * HOUR)
    hourly = history.slice(row.pk, span, tier=tiers.HOURLY)
    assert hourly.timestamps == [NOON + hour * HOUR for hour in range(4)]
    assert hourly.series["gpu_percent"]["max"] == [10.0, 11.0, 12.0, None]
    daily = history.slice(row.pk, span, tier=tiers.DAILY, gpu=1)
    assert daily.timestamps == [NOON.replace(hour=0)]
    assert daily.series["gpu_sm_clock_mhz"] == {"avg": [11.0], "min": [10.0], "max": [12.0]}


def test_the_api_answers_in_columns(row, client):
    user = make_user()
    join(user, row.team)
    client.force_login(user)
    answer = client.get(f"/api/v1/connections/{row.pk}/metrics/history?range=1h")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["tier"], body["resolution_seconds"]) == ("raw", 20)
    assert len(body["series"]["timestamp"]) == 180
    assert body["series"]["cpu_percent"] == {part: [None] * 180 for part in ("avg", "min", "max")}
