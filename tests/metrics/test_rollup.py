"""Hours and days equal an independent computation, whatever happens on the way."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from metrics.history import partitions, retention, rollup, rollup_queue, tiers
from metrics.history.window import Window
from metrics.models import Machine, Pending
from tests.emptying import no_numbers
from tests.factories import make_connection
from tests.metrics import oracle
from tests.metrics.stored import ends, machine_of, random_windows, steady, store, write
from tests.waiting import until

# Where nothing runs beside it, all of it happens in one transaction that is rolled back.
pytestmark = pytest.mark.django_db

START = datetime(2031, 5, 6, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LATER = START + 4 * DAY


@pytest.fixture
def committed(transactional_db):
    """What several connections share is really there, and goes afterwards."""
    with no_numbers():
        yield


@pytest.fixture
def machine():
    return machine_of(make_connection())


def with_gaps(generator: random.Random, hours: int = 5, gpus: int = 2) -> list[Window]:
    """Some hours of windows, across midnight, of which a third is missing, and one hour whole."""
    gap = generator.randrange(hours)
    moments = [
        at
        for at in ends(START, hours * 180)
        if generator.random() < 0.66 and (at - START) // HOUR != gap
    ]
    return random_windows(moments, generator, gpus)


def assert_rolled_up(machine: Machine, windows: list[Window]) -> None:
    for tier in (tiers.HOURLY, tiers.DAILY):
        wanted = oracle.expected(windows, tier.resolution_seconds)
        found = oracle.stored(tier.machine, machine.pk) | oracle.stored(tier.gpu, machine.pk)
        oracle.assert_equal(found, wanted)


@pytest.mark.parametrize("seed", range(4))
def test_random_windows_with_gaps(machine, seed):
    windows = with_gaps(random.Random(seed))
    store(machine, windows)
    assert rollup.roll_up(LATER) > 4
    assert_rolled_up(machine, windows)
    assert rollup.roll_up(LATER) == 0


@pytest.mark.parametrize("seed", range(4))
def test_windows_that_come_late_in_any_order(machine, seed):
    generator = random.Random(seed)
    windows = with_gaps(generator)
    generator.shuffle(windows)
    left = list(windows)
    while left:
        count = generator.randint(1, len(left))
        store(machine, left[:count])
        left = left[count:]
        rollup.roll_up(generator.choice([START + 2 * HOUR, START + DAY, LATER]), batch=2)
    rollup.roll_up(LATER)
    assert_rolled_up(machine, windows)


def test_eight_gpus_are_eight_rows(machine):
    windows = [steady(at, 40.0, gpus=8) for at in ends(START, 3)]
    store(machine, windows)
    rollup.roll_up(LATER)
    found = oracle.stored(tiers.DAILY.gpu, machine.pk)
    assert {index for _, index in found} == set(range(8))
    assert_rolled_up(machine, windows)


def test_only_what_has_ended_is_computed(machine):
    store(machine, [steady(at, 1.0) for at in ends(START, 181)])
    assert rollup.roll_up(START + HOUR - timedelta(seconds=1)) == 0
    assert rollup.roll_up(START + HOUR) == 1
    assert list(oracle.stored(tiers.HOURLY.machine, machine.pk)) == [(START, None)]
    assert oracle.stored(tiers.DAILY.machine, machine.pk) == {}


def test_a_mean_of_equal_values_is_that_value(machine):
    third = 1 / 3
    windows = [steady(at, third, readings=count + 1) for count, at in enumerate(ends(START, 7))]
    store(machine, windows)
    rollup.roll_up(LATER)
    for tier in (tiers.HOURLY, tiers.DAILY):
        [row] = oracle.stored(tier.machine, machine.pk).values()
        assert row[0] == row[1] == row[2]
        assert row[3] == 28


def test_hours_of_a_month_that_nobody_made_are_stored(machine):
    windows = [steady(at - 400 * DAY, 1.0) for at in ends(START, 2)]
    store(machine, windows)
    for table in (*tiers.HOURLY.tables, *tiers.DAILY.tables):
        partitions.drop(table, START.date())
    assert rollup.roll_up(LATER) == 2
    assert_rolled_up(machine, windows)


# --- Interrupted, and beside others -------------------------------------------------------------


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except DatabaseError as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def test_killed_in_the_middle_it_goes_on_where_it_was(committed, machine):
    windows = [steady(at, 2.0) for hour in range(60) for at in ends(START + hour * HOUR, 2)]
    store(machine, windows)
    thread, errors = in_thread(lambda: rollup.roll_up(LATER, batch=1))
    until(lambda: Pending.objects.filter(tier="hourly").count() < 50, "ten hours")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND query LIKE '%%metrics_%%'"
        )
    thread.join()
    left = Pending.objects.filter(tier="hourly").count()
    assert bool(errors) == (left > 0)
    rollup.roll_up(LATER)
    assert_rolled_up(machine, windows)


def test_two_at_once_share_the_work(committed, machine):
    windows = [steady(at, 2.0) for hour in range(30) for at in ends(START + hour * HOUR, 2)]
    store(machine, windows)
    threads = [in_thread(lambda: rollup.roll_up(LATER, batch=2)) for _ in range(3)]
    for thread, errors in threads:
        thread.join()
        assert errors == []
    rollup.roll_up(LATER)
    assert_rolled_up(machine, windows)


def test_an_hour_waits_for_a_writer_that_has_not_committed(committed, machine):
    early, late = (random_windows([at], random.Random(1)) for at in ends(START, 2))
    store(machine, early)
    with transaction.atomic():
        write(machine, late)
        thread, errors = in_thread(lambda: rollup.roll_up(LATER))
        thread.join()
        assert errors == []
        assert oracle.stored(tiers.HOURLY.machine, machine.pk) == {}
    rollup.roll_up(LATER)
    assert_rolled_up(machine, early + late)


def test_a_writer_that_meets_the_roll_up_has_its_hour_computed_again(committed, machine):
    early, late = (random_windows([at], random.Random(2)) for at in ends(START, 2))
    store(machine, early)
    with transaction.atomic():
        due = rollup_queue.take(tiers.HOURLY, LATER, 10)
        rollup._store(tiers.HOURLY, due)
        thread, errors = in_thread(lambda: store(machine, late))
        until(_somebody_waits, "the writer waits for the note")
        rollup_queue.note(tiers.DAILY, {(machine.pk, tiers.DAILY.start_of(at)) for _, at in due})
        rollup_queue.done(tiers.HOURLY, due)
    thread.join()
    assert errors == []
    assert Pending.objects.filter(tier="hourly").count() == 1
    rollup.roll_up(LATER)
    assert_rolled_up(machine, early + late)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


# --- What has expired ---------------------------------------------------------------------------


def test_a_late_row_does_not_replace_an_hour_whose_windows_have_expired(machine):
    windows = [steady(at, 5.0, gpus=1) for at in ends(START, 180)]
    store(machine, windows)
    rollup.roll_up(LATER)
    retention.clean_up(START + 15 * DAY)
    store(machine, [replace(windows[7], count=1)])
    rollup.roll_up(START + 15 * DAY)
    assert_rolled_up(machine, windows)
    assert Pending.objects.count() == 0


def test_a_late_row_makes_an_hour_that_was_never_there(machine):
    retention.clean_up(START + 15 * DAY)
    [late] = windows = random_windows(ends(START, 1), random.Random(3))
    store(machine, [late])
    rollup.roll_up(START + 15 * DAY)
    assert_rolled_up(machine, windows)
