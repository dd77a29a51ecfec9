"""The partitions of the history."""

import threading
from datetime import date, timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from metrics import tiers
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
    for tier in tiers.TIERS:
        for name in tiers._partitions(tier):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {name}")


def names(tier):
    return tiers._partitions(tier)


def test_a_week_is_made_ahead_and_making_it_again_changes_nothing():
    assert tiers.ensure_partitions(DAY) == 2 * 9
    assert names(tiers.MACHINES)[0] == "metrics_raw_machine_20310505"
    assert names(tiers.GPUS)[-1] == "metrics_raw_gpu_20310513"
    assert tiers.ensure_partitions(DAY) == 0
    assert tiers.ensure_partitions(DAY + timedelta(days=1)) == 2


def test_the_tables_have_the_columns_of_the_catalogue():
    for tier in tiers.TIERS:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_name = %s ORDER BY ordinal_position",
                [tier.table],
            )
            there = cursor.fetchall()
        assert [name for name, _ in there] == [*tier.key, *tier.numbers]
        assert {kind for name, kind in there if name in tier.numbers} == {"real"}


def test_days_beyond_retention_are_dropped_and_no_others():
    tiers.ensure_partitions(DAY)
    dropped = tiers.drop_partitions(tiers.MACHINES, DAY + timedelta(days=2))
    assert dropped == [f"metrics_raw_machine_2031050{day}" for day in (5, 6, 7)]
    assert len(names(tiers.MACHINES)) == 6
    assert len(names(tiers.GPUS)) == 9


def test_retention_follows_the_table():
    tiers.ensure_partitions(DAY)
    assert tiers.drop_expired(DAY + timedelta(days=14)) == [
        "metrics_raw_machine_20310505",
        "metrics_raw_gpu_20310505",
    ]


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
    assert len(names(tiers.GPUS)) == 9


def test_a_reader_delays_a_drop_but_the_drop_never_blocks_writers_for_long(monkeypatch):
    monkeypatch.setattr(tiers, "LOCK_TIMEOUT", "100ms")
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
    assert "metrics_raw_machine_20310505" not in names(tiers.MACHINES)


def _drop_in_thread():
    tiers.drop_partitions(tiers.MACHINES, DAY)
    connection.close()


def _is_waiting(reader):
    row = reader.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return row[0] > 0
