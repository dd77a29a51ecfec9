"""Windows into PostgreSQL: the right values, once, by the keeper that holds the machine."""

import os
import signal
import statistics
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections

from core import embedded, topics
from dgxsite.up import servers
from metrics.collectors.readings import Cpu, Sample
from metrics.history import partitions, tiers
from metrics.history.buffer import Unsaved
from metrics.history.window import reading_of
from metrics.live import store as samples
from metrics.live.persist import persist
from metrics.models import GpuIdentity, Machine
from tests.emptying import no_numbers
from tests.metrics.machines import (
    MOMENT,
    every_two_seconds,
    held_machine,
    holdings_of,
    make_gpu,
    make_keeper,
    make_sample,
)
from tests.metrics.private import private_server

pytestmark = pytest.mark.django_db(transaction=True)

END = MOMENT + timedelta(seconds=20)
AFTER = END + timedelta(seconds=5)


@pytest.fixture(autouse=True)
def days(redis_client):
    tiers.ensure_partitions(MOMENT.date(), days_ahead=1)
    with no_numbers():
        yield


@pytest.fixture
def keeper():
    return make_keeper()


def filled(*machines, count=10, gpus=1, start=MOMENT):
    """Windows with `count` readings of each machine; the processor's load is the step's number."""
    windows = Unsaved()
    for machine in machines:
        for step, at in enumerate(every_two_seconds(count, start)):
            sample = make_sample(at, gpus=gpus, cpu=Cpu(float(step), 20, None, None))
            windows.add(machine.pk, reading_of(sample))
    return windows


def rows(table="metrics_raw_machine", *columns):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns) or '*'} FROM {table} ORDER BY machine, at")
        return cursor.fetchall()


def test_the_stored_numbers_equal_an_independent_computation(keeper):
    machine = held_machine(keeper)
    windows = filled(machine, gpus=2)
    assert persist(keeper.pk, holdings_of(machine), AFTER, windows=windows) == 3
    loads = [float(step) for step in range(10)]
    names = ("at", "machine", "readings", "cpu_percent_avg", "cpu_percent_min", "cpu_percent_max")
    [(at, number, count, mean, low, high)] = rows("metrics_raw_machine", *names)
    assert (at, number, count) == (END, Machine.objects.get(connection=machine).pk, 10)
    assert (mean, low, high) == (pytest.approx(statistics.fmean(loads)), 0.0, 9.0)
    gpus = rows("metrics_raw_gpu", "gpu", "readings", "gpu_power_watts_avg", "gpu_percent_max")
    assert gpus == [(0, 10, 300.0, 50.0), (1, 10, 300.0, 50.0)]


def test_what_was_not_reported_is_null_and_zero_is_zero(keeper):
    machine = held_machine(keeper)
    windows = Unsaved()
    gpu = make_gpu(utilization_percent=0.0, power_watts=None)
    windows.add(machine.pk, reading_of(Sample(MOMENT, gpus=(gpu,))))
    persist(keeper.pk, holdings_of(machine), AFTER, windows=windows)
    assert rows("metrics_raw_gpu", "gpu_percent_avg", "gpu_power_watts_avg") == [(0.0, None)]


def test_a_second_run_writes_nothing_more(keeper):
    machine = held_machine(keeper)
    held = holdings_of(machine)
    assert persist(keeper.pk, held, AFTER, windows=filled(machine)) == 2
    # The answer to a commit was lost: the same windows come again.
    assert persist(keeper.pk, held, AFTER, windows=filled(machine)) == 0
    assert len(rows()) == 1


def test_the_running_window_waits(keeper):
    machine = held_machine(keeper)
    windows = filled(machine, count=12)
    held = holdings_of(machine)
    assert persist(keeper.pk, held, END + timedelta(seconds=10), windows=windows) == 2
    assert persist(keeper.pk, held, END + timedelta(seconds=25), windows=windows) == 2
    assert [row[0] for row in rows("metrics_raw_machine", "readings")] == [10, 2]


@pytest.mark.parametrize("believed_epoch", [1, 3])
def test_another_epoch_than_the_rows_writes_nothing(keeper, believed_epoch):
    machine = held_machine(keeper, epoch=2)
    windows = filled(machine)
    assert persist(keeper.pk, {machine.pk: believed_epoch}, AFTER, windows=windows) == 0
    assert rows() == []


def test_a_keeper_that_was_replaced_writes_nothing_and_its_successor_everything(keeper):
    successor = make_keeper()
    machine = held_machine(keeper)
    old = holdings_of(machine)
    machine.owner, machine.epoch = successor, 2
    machine.save()
    assert persist(keeper.pk, old, AFTER, windows=filled(machine)) == 0
    new = holdings_of(machine)
    assert persist(successor.pk, new, AFTER, windows=filled(machine)) == 2


def test_no_holdings_write_nothing(keeper):
    machine = held_machine(keeper)
    windows = filled(machine)
    assert persist(keeper.pk, {}, AFTER, windows=windows) == 0
    assert persist(keeper.pk, holdings_of(machine), AFTER, windows=windows) == 2


def test_the_successor_saves_what_a_killed_keeper_left_in_redis(keeper, monkeypatch):
    monkeypatch.setattr(topics, "publish", lambda team, items: None)
    machine = held_machine(keeper)
    recorder = samples.Recorder(Unsaved())  # its memory dies with it
    for at in every_two_seconds(9):
        recorder.add(machine.pk, machine.team_id, 1, make_sample(at))
        recorder.flush(holdings_of(machine))
    successor = make_keeper()
    machine.owner, machine.epoch = successor, 2
    machine.save()
    windows = Unsaved()
    windows.add(machine.pk, reading_of(make_sample(MOMENT + timedelta(seconds=18))))
    assert persist(successor.pk, holdings_of(machine), AFTER, windows=windows) == 2
    assert rows("metrics_raw_machine", "readings") == [(10,)]
    # Adopting again, under a later epoch, finds it written.
    machine.epoch = 3
    machine.save()
    assert persist(successor.pk, holdings_of(machine), AFTER, windows=windows) == 0


def test_a_missing_partition_is_made_and_loses_nothing(keeper):
    machine = held_machine(keeper)
    later = MOMENT + timedelta(days=40)
    windows = filled(machine, start=later)
    assert (
        persist(keeper.pk, holdings_of(machine), later + timedelta(hours=1), windows=windows) == 2
    )
    assert rows("metrics_raw_machine", "at") == [(later + timedelta(seconds=20),)]
    for table in tiers.RAW.tables:
        partitions.drop(table, later.date() + timedelta(days=1))


def test_one_window_that_cannot_be_stored_does_not_hold_up_the_others(keeper, caplog):
    machines = [held_machine(keeper) for _ in range(5)]
    windows = filled(*machines)
    bad = machines[2].pk
    [(_, window)] = windows.ended(AFTER, {bad})
    # The window refuses such numbers itself; this is what happens if something slips through.
    slipped = replace(window, numbers=(1e300, *window.numbers[1:]))
    windows._closed[bad, END] = slipped
    assert persist(keeper.pk, holdings_of(*machines), AFTER, windows=windows) == 8
    assert windows.ended(AFTER, {machine.pk for machine in machines}) == []
    assert str(bad) in caplog.text


def test_a_device_is_noted_once_and_again_when_it_is_replaced(keeper):
    machine = held_machine(keeper)
    held = holdings_of(machine)
    persist(keeper.pk, held, AFTER, windows=filled(machine))
    windows = Unsaved()
    for second in (60, 80):
        gpu = make_gpu(uuid="GPU-new\0", name="NVIDIA H200")
        sample = Sample(MOMENT + timedelta(seconds=second), gpus=(gpu,))
        windows.add(machine.pk, reading_of(sample))
    persist(keeper.pk, held, AFTER + timedelta(minutes=5), windows=windows)
    noted = GpuIdentity.objects.values_list("index", "uuid", "name")
    assert list(noted) == [(0, "GPU-0", "NVIDIA H100"), (0, "GPU-new", "NVIDIA H200")]


def test_a_machine_that_is_gone_for_good_is_passed_over(keeper):
    machine = held_machine(keeper)
    gone = uuid4()
    windows = filled(machine)
    windows.add(gone, reading_of(make_sample()))
    held = holdings_of(machine) | {gone: 1}
    assert persist(keeper.pk, held, AFTER, windows=windows) == 2


@pytest.mark.parametrize("table", tiers.RAW.tables, ids=lambda table: table.name)
def test_a_number_costs_at_most_eight_bytes_with_its_share_of_the_index(table, capsys):
    windows, machines = 200, 100
    numbers = ", ".join("random()" for _ in table.numbers)
    gpu = "0, " if "gpu" in table.key else ""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table.name}")  # deleted rows would be counted
        cursor.execute(  # in the order in which keepers write: window by window
            f"INSERT INTO {table.name} SELECT %s + step * interval '20 seconds', machine, {gpu}10, "
            f"{numbers} FROM generate_series(1, %s) step, generate_series(1, %s) machine",
            [MOMENT, windows, machines],
        )
        partition = partitions.name_of(table, MOMENT.date())
        cursor.execute("SELECT pg_total_relation_size(%s)", [partition])
        bytes_per_number = cursor.fetchone()[0] / (windows * machines * len(table.numbers))
    with capsys.disabled():
        print(f"\n{table.name}: {bytes_per_number:.2f} bytes per number")
    assert bytes_per_number <= 8


def test_500_machines_with_8_gpus_are_written_quickly(keeper, capsys):
    count = int(os.environ.get("BENCH_MACHINES", "50"))
    machines = [held_machine(keeper) for _ in range(count)]
    persist(keeper.pk, holdings_of(*machines), AFTER, windows=filled(*machines, count=1, gpus=8))
    windows = filled(*machines, count=2, gpus=8, start=END)
    started, used = time.perf_counter(), time.process_time()
    later = AFTER + timedelta(seconds=20)
    written = persist(keeper.pk, holdings_of(*machines), later, windows=windows)
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    with capsys.disabled():
        print(f"\n{written} rows in {wall:.3f} s, {cpu:.3f} s of CPU here")
    assert written == count * 9
    assert wall < 0.5 * 4


# --- A database that goes away -----------------------------------------------------------------


@pytest.fixture
def own_database():
    """Django on a PostgreSQL of this test's own; migrations run there."""
    with private_server(servers.postgres) as server:
        parts = dict(connections["default"].settings_dict)
        kept = connections["default"]
        connections["default"].close()
        changed = connections.create_connection("default")
        changed.settings_dict = parts | {
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": str(embedded.socket_directory(server.directory)),
        }
        connections["default"] = changed
        try:
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            yield server
        finally:
            changed.close()
            connections["default"] = kept


def test_stopped_and_back_the_windows_are_written_later(own_database):
    keeper = make_keeper()
    machine = held_machine(keeper)
    tiers.ensure_partitions(MOMENT.date())
    windows = filled(machine)
    own_database.kill(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
    assert persist(keeper.pk, holdings_of(machine), AFTER, windows=windows) == 0
    for at in every_two_seconds(10, END):
        windows.add(machine.pk, reading_of(make_sample(at)))
    assert persist(keeper.pk, holdings_of(machine), AFTER, windows=windows) == 0
    own_database.start()
    later = END + timedelta(seconds=30)
    assert persist(keeper.pk, holdings_of(machine), later, windows=windows) == 4
    assert [row[0] for row in rows("metrics_raw_machine", "readings")] == [10, 10]
