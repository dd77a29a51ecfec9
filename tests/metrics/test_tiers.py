"""The tables of the history and their partitions."""

import threading
from datetime import date, timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from metrics.history import partitions, tiers
from metrics.history.partitions import Table
from tests.metrics.private import psycopg_address
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2031, 5, 6)


@pytest.fixture(autouse=True)
def no_partitions():
    # A keeper that another test started may have made the days around today.
    drop_all()
    yield
    drop_all()


def drop_all():
    for table in tiers.TABLES:
        for name in partitions.names(table):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {name}")


def made(table):
    return [name.removeprefix(f"{table.name}_") for name in partitions.names(table)]


def test_a_week_is_made_ahead_and_making_it_again_changes_nothing():
    assert tiers.ensure_partitions(DAY) == 2 * (9 + 1 + 1)
    assert made(tiers.RAW.machine) == [f"203105{day:02}" for day in range(5, 14)]
    assert made(tiers.RAW.gpu) == made(tiers.RAW.machine)
    assert tiers.ensure_partitions(DAY) == 0
    assert tiers.ensure_partitions(DAY + timedelta(days=1)) == 2


def test_the_turn_of_a_year_makes_the_month_and_the_year_to_come():
    tiers.ensure_partitions(date(2031, 12, 30))
    assert made(tiers.HOURLY.machine) == made(tiers.HOURLY.gpu) == ["203112", "203201"]
    assert made(tiers.DAILY.machine) == made(tiers.DAILY.gpu) == ["2031", "2032"]


@pytest.mark.parametrize("table", tiers.TABLES, ids=lambda table: table.name)
def test_the_tables_have_the_columns_of_the_catalogue(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = %s ORDER BY ordinal_position",
            [table.name],
        )
        there = cursor.fetchall()
    assert [name for name, _ in there] == [*table.key, *table.numbers]
    kinds = {"integer" if name.endswith("_count") else "real" for name in table.numbers}
    assert {kind for name, kind in there if name in table.numbers} == kinds


@pytest.mark.parametrize(
    ("every", "day", "left"),
    [
        ("day", date(2031, 3, 2), ["20310302"]),
        ("month", date(2031, 3, 31), ["203103"]),
        ("year", date(2031, 12, 31), ["2031"]),
    ],
)
def test_a_partition_is_dropped_when_its_last_day_is_too_old(every, day, left):
    table = Table("trial", ("at",), (), every)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE trial (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    try:
        partitions.ensure(table, [date(2030, 12, 31), date(2031, 2, 28), date(2031, 3, 1), day])
        gone = len(partitions.names(table)) - 1
        assert len(partitions.expired(table, day)) == gone
        assert len(partitions.drop(table, day)) == gone
        assert made(table) == left
        assert partitions.drop(table, day) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE trial")


def test_two_processes_that_make_the_same_days_do_not_collide():
    errors: list[Exception] = []

    def make():
        try:
            tiers.ensure_partitions(DAY)
        except DatabaseError as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(made(tiers.RAW.gpu)) == 9


def test_a_reader_delays_a_drop_but_the_drop_never_blocks_writers_for_long(monkeypatch):
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "100ms")
    tiers.ensure_partitions(DAY)
    with psycopg.connect(psycopg_address()) as reader:
        reader.execute("SELECT count(*) FROM metrics_raw_machine")
        dropper = threading.Thread(target=_drop_in_thread)
        dropper.start()
        until(lambda: _is_waiting(reader), seconds=5)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute(
                "INSERT INTO metrics_raw_machine (at, machine, readings) VALUES (%s, 1, 1)",
                [DAY + timedelta(days=3)],
            )
        reader.rollback()
        dropper.join()
    assert "20310505" not in made(tiers.RAW.machine)


def _drop_in_thread():
    partitions.drop(tiers.RAW.machine, DAY)
    connection.close()


def _is_waiting(reader):
    row = reader.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return row[0] > 0
