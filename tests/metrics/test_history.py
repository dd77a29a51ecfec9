"""Reading the history: spans, tiers, steps, the running hour and day, and what is not there."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection

from core.errors import Invalid
from metrics.history import query as history_query
from metrics.history import retention, rollup, tiers
from metrics.history import sql as history_sql
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS
from metrics.history.query import Span
from metrics.models import Retention
from tests.factories import make_connection
from tests.metrics import oracle
from tests.metrics.stored import ends, machine_of, random_windows, steady, store

pytestmark = pytest.mark.django_db

NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def row():
    return make_connection()


# --- Which span, which tier ---------------------------------------------------------------------


@pytest.mark.parametrize("name", history_query.RANGES)
def test_a_range_ends_now(name):
    assert history_query.window(name, None, None, NOON) == Span(
        NOON - history_query.RANGES[name], NOON
    )


def test_without_anything_it_is_the_last_day():
    assert history_query.window(None, None, None, NOON) == Span(NOON - DAY, NOON)


def test_a_start_alone_goes_up_to_now_and_a_time_without_zone_is_utc():
    start = datetime(2031, 5, 1)  # noqa: DTZ001 (that is the point)
    assert history_query.window(None, start, None, NOON) == Span(start.replace(tzinfo=UTC), NOON)


@pytest.mark.parametrize(
    ("range_", "start", "end", "field"),
    [
        ("1h", NOON, NOON + HOUR, "range"),
        ("2h", None, None, "range"),
        ("", NOON, None, "range"),
        (None, None, NOON, "start"),
        (None, NOON, NOON, "start"),
        (None, NOON, NOON - HOUR, "start"),
        (None, datetime.min.replace(tzinfo=UTC), NOON, "start"),
        (None, NOON, datetime.max.replace(tzinfo=UTC), "end"),
    ],
)
def test_what_is_no_span_is_refused(range_, start, end, field):
    with pytest.raises(Invalid) as refused:
        history_query.window(range_, start, end, NOON)
    assert refused.value.errors[0].field == field


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("1h", "raw"),
        ("6h", "raw"),
        ("24h", "raw"),
        ("7d", "hourly"),
        ("30d", "hourly"),
        ("12m", "daily"),
    ],
)
def test_each_range_has_its_tier(row, name, tier):
    machine = machine_of(row)
    now = datetime.now(UTC)
    assert history_query.tier_for(machine, history_query.window(name, None, None, now)).name == tier


def test_a_short_span_of_long_ago_is_answered_from_what_is_still_kept(row):
    machine, now = machine_of(row), datetime.now(UTC)
    assert history_query.tier_for(machine, Span(now - 20 * DAY, now - 19 * DAY)) is tiers.HOURLY
    assert history_query.tier_for(machine, Span(now - 500 * DAY, now - 499 * DAY)) is tiers.DAILY
    Retention.objects.create(tier="raw", connection=row, keep_days=60)
    assert history_query.tier_for(machine, Span(now - 20 * DAY, now - 19 * DAY)) is tiers.RAW


def test_what_expired_under_a_shorter_retention_does_not_come_back(row):
    machine, now = machine_of(row), datetime.now(UTC)
    retention.clean_up(now)
    Retention.objects.create(tier="raw", connection=row, keep_days=60)
    machine.refresh_from_db()
    assert history_query.tier_for(machine, Span(now - 20 * DAY, now - 19 * DAY)) is tiers.HOURLY


# --- Steps --------------------------------------------------------------------------------------


def test_an_hour_of_windows_comes_back_as_it_was_written(row):
    moments = ends(NOON, 180)
    store(machine_of(row), [steady(at, float(step)) for step, at in enumerate(moments)])
    found = history_query.slice(row.pk, Span(NOON, NOON + HOUR), tier=tiers.RAW)
    assert (found.tier, found.resolution_seconds) == (tiers.RAW, 20)
    assert found.timestamps == moments
    assert found.series["cpu_percent"]["avg"] == [float(step) for step in range(180)]


def test_a_gap_is_none_in_every_series(row):
    moments = ends(NOON, 180)
    store(machine_of(row), [steady(at, 1.0) for at in moments[:30] + moments[90:]])
    found = history_query.slice(row.pk, Span(NOON, NOON + HOUR), tier=tiers.RAW, max_points=6)
    assert found.resolution_seconds == 600
    for statistics in found.series.values():
        for numbers in statistics.values():
            assert numbers == [1.0, None, None, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("max_points", [1, 7, 100, 1500, 20_000])
@pytest.mark.parametrize("length", [HOUR, DAY, 7 * DAY, 365 * DAY, 7 * DAY + HOUR / 7])
@pytest.mark.parametrize("tier", tiers.TIERS, ids=lambda tier: tier.name)
def test_the_steps_are_equal_and_cover_the_span(tier, length, max_points):
    odd = timedelta(minutes=7, seconds=3, microseconds=11)
    span = Span(NOON + odd, NOON + odd + length)
    grid = history_query._Grid.over(tier, span, max_points)
    times = grid.timestamps(tier)
    assert len(times) <= max_points
    assert {after - before for before, after in pairwise(times)} <= {grid.step}
    assert grid.seconds % tier.resolution_seconds == 0
    assert grid.start <= span.start
    assert grid.end > span.end - tier.resolution
    if tier is tiers.RAW:
        assert times[-1] <= span.end


@pytest.mark.parametrize("max_points", [1, 5, 50])
@pytest.mark.parametrize("gpu", [None, 1])
def test_a_step_is_the_mean_of_its_readings(row, gpu, max_points):
    windows = random_windows(ends(NOON, 180), random.Random(max_points), gpus=2)
    store(machine_of(row), windows)
    span = Span(NOON, NOON + HOUR)
    found = history_query.slice(row.pk, span, gpu=gpu, tier=tiers.RAW, max_points=max_points)
    for number, at in enumerate(found.timestamps):
        begin = at - timedelta(seconds=found.resolution_seconds)
        mine = [w for w in windows if begin < w.at <= at]
        wanted = oracle.expected(mine, 3600)[NOON, gpu]
        name = "gpu_power_watts"
        place = [m.name for m in (GPU_METRICS if gpu else MACHINE_METRICS)].index(name)
        for offset, statistic in enumerate(("avg", "min", "max")):
            number_found = found.series[name][statistic][number]
            other = wanted[4 * place + offset]
            assert number_found == (None if other is None else oracle.approximately(other))


# --- Hours and days -----------------------------------------------------------------------------


@pytest.mark.parametrize("rolled_up_to", [None, NOON + 2 * HOUR, NOON + 2 * DAY])
def test_hours_and_days_are_the_same_before_and_after_the_roll_up(row, rolled_up_to):
    for hour in range(3):
        begin = NOON + hour * HOUR
        store(machine_of(row), [steady(at, 10.0 + hour, gpus=2) for at in ends(begin, 180)])
    if rolled_up_to is not None:
        assert rollup.roll_up(rolled_up_to) > 0
    span = Span(NOON, NOON + 4 * HOUR)
    hourly = history_query.slice(row.pk, span, tier=tiers.HOURLY)
    assert hourly.timestamps == [NOON + hour * HOUR for hour in range(4)]
    assert hourly.series["gpu_percent"]["max"] == [10.0, 11.0, 12.0, None]
    daily = history_query.slice(row.pk, span, tier=tiers.DAILY, gpu=1)
    assert daily.timestamps == [NOON.replace(hour=0)]
    assert daily.series["gpu_sm_clock_mhz"] == {"avg": [11.0], "min": [10.0], "max": [12.0]}


def test_a_late_window_shows_before_it_is_rolled_up(row):
    first, *rest = [steady(at, 1.0) for at in ends(NOON, 180)]
    store(machine_of(row), rest)
    rollup.roll_up(NOON + DAY)
    store(machine_of(row), [steady(first.at, 181.0)])
    for tier in (tiers.HOURLY, tiers.DAILY):
        found = history_query.slice(row.pk, Span(NOON, NOON + HOUR), tier=tier)
        assert found.series["cpu_percent"] == {"avg": [2.0], "min": [1.0], "max": [181.0]}


@pytest.mark.parametrize("tier", [tiers.HOURLY, tiers.DAILY], ids=lambda tier: tier.name)
@pytest.mark.parametrize("gpu", [None, 0])
def test_every_row_of_a_tier_with_its_running_end(row, tier, gpu):
    machine = machine_of(row)
    begin = NOON + 6 * HOUR
    windows = random_windows(ends(begin, 10 * 180), random.Random(5))
    store(machine, windows[:1000])
    rollup.roll_up(begin + 4 * HOUR)
    store(machine, windows[1000:])
    query = history_query.rows_sql(tier, machine, Span(begin, begin + DAY), gpu)
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = {(at, gpu): list(numbers) for at, *numbers in cursor.fetchall()}
    wanted = oracle.expected(windows, tier.resolution_seconds)
    oracle.assert_equal(found, {key: one for key, one in wanted.items() if key[1] == gpu})
    assert list(found) == sorted(found)


def test_raw_rows_are_those_that_end_within_the_span(row):
    machine = machine_of(row)
    store(machine, [steady(at, 1.0) for at in ends(NOON - HOUR, 540)])
    with connection.cursor() as cursor:
        cursor.execute(history_query.rows_sql(tiers.RAW, machine, Span(NOON, NOON + HOUR), None))
        found = [at for at, *_ in cursor.fetchall()]
        assert len(cursor.description) == 2 + 3 * len(MACHINE_METRICS)
    assert found == ends(NOON, 180)


# --- What is not there --------------------------------------------------------------------------


def test_a_gpu_that_does_not_exist_is_null_beside_the_machine(row):
    store(machine_of(row), [steady(at, 1.0, gpus=2) for at in ends(NOON, 3)])
    found = history_query.slice(
        row.pk, Span(NOON, NOON + timedelta(minutes=1)), gpu=7, tier=tiers.RAW
    )
    assert found.series["gpu_percent"]["avg"] == [None] * 3
    assert found.series["gpu_throttled"]["avg"] == [None] * 3
    assert found.series["cpu_percent"]["avg"] == [1.0] * 3


def test_a_machine_without_history_has_nulls(row):
    found = history_query.slice(row.pk, Span(NOON - HOUR, NOON), max_points=4)
    assert found.series["cpu_percent"] == {part: [None] * 4 for part in ("avg", "min", "max")}
    assert history_query.oldest(row.pk) == {"raw": None, "hourly": None, "daily": None}


def test_another_machine_shows_nothing_of_it(row):
    other = make_connection()
    store(machine_of(row), [steady(at, 1.0) for at in ends(NOON, 3)])
    machine_of(other)
    found = history_query.slice(other.pk, Span(NOON, NOON + HOUR), tier=tiers.RAW)
    assert set(found.series["cpu_percent"]["avg"]) == {None}


def test_only_the_series_that_are_asked_for(row):
    found = history_query.slice(row.pk, Span(NOON, NOON + HOUR), gpu=0, metrics=["gpu_throttled"])
    assert set(found.series) == {"gpu_throttled"}


def test_the_oldest_row_of_each_tier(row):
    store(machine_of(row), [steady(at, 1.0) for at in ends(NOON, 181)])
    rollup.roll_up(NOON + HOUR)
    assert history_query.oldest(row.pk) == {
        "raw": NOON + timedelta(seconds=20),
        "hourly": NOON,
        "daily": None,
    }


def test_the_columns_of_a_row_are_told():
    names = [metric.name for metric in MACHINE_METRICS[:1]]
    assert (
        history_sql.columns(tiers.RAW, names)
        .as_string(None)
        .startswith('"readings", "cpu_percent_avg')
    )
