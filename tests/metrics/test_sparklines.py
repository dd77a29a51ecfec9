"""The small curves of the overview: minutes, gaps, and the processor where there is no GPU."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection as database

from connections.models import Connection
from metrics.history import tiers
from metrics.models import Machine
from metrics.pages import sparklines
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 12, 30, 10, tzinfo=UTC)


def store(row: Connection, ends_ago: int, gpu: float | None, cpu: float | None = None) -> None:
    """One window that ended so many seconds before 12:30:00."""
    at = NOW.replace(second=0) - timedelta(seconds=ends_ago)
    tiers.ensure_days([at.date()])
    machine = Machine.objects.get_or_create(connection=row)[0]
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_raw_machine (at, machine, readings, gpu_percent_avg, "
            "cpu_percent_avg) VALUES (%s, %s, 10, %s, %s)",
            [at, machine.pk, gpu, cpu],
        )


def of(row: Connection) -> sparklines.Sparkline:
    return sparklines.of([row.pk], NOW)[row.pk]


def test_a_point_is_the_mean_of_the_windows_that_end_in_its_minute() -> None:
    row = factories.make_connection()
    for ends_ago, load in ((0, 10.0), (20, 20.0), (40, 30.0), (60, 90.0)):
        store(row, ends_ago, load)
    # 12:30 has no window yet; 12:29 ends with the one of 12:30:00, 12:28 with that of 12:29:00.
    assert of(row).values[-3:] == [90.0, 20.0, None]
    assert of(row).minute == int(NOW.timestamp()) // 60


def test_what_is_older_than_half_an_hour_is_not_shown() -> None:
    row = factories.make_connection()
    store(row, 29 * 60, 50.0)
    assert of(row).values == [None] * 30
    store(row, 29 * 60 - 20, 60.0)
    assert of(row).values == [60.0] + [None] * 29


def test_without_gpus_the_processor_is_shown_and_named() -> None:
    row = factories.make_connection()
    store(row, 0, None, 40.0)
    assert of(row).text == "CPU, last 30 minutes: 40 to 40 %"


def test_gaps_lift_the_pen() -> None:
    line = sparklines.Sparkline(0, [0.0, 100.0, None, 50.0])
    assert line.path == "M0 23.0h.5L1 1.0h.5M3 12.0h.5"
    assert line.numbers == "0,100,,50"


def test_one_query_for_all_machines(django_assert_num_queries: object) -> None:
    rows = [factories.make_connection() for _ in range(5)]
    store(rows[0], 0, 50.0)
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = sparklines.of([row.pk for row in rows], NOW)
    assert [one.text.startswith("last") for one in found.values()] == [False] + [True] * 4
