"""Minutes into PostgreSQL: once, by the keeper that holds the machine, and hours as their sums."""

from datetime import timedelta

import pytest
from django.db import connection

from core import topics
from metrics.history import partitions, tiers
from metrics.history.buffer import Unsaved
from metrics.history.window import reading_of
from metrics.live import store as rings
from metrics.live.persist import persist
from tests.metrics.machines import MOMENT, held_machine, holdings_of, make_gpu, make_keeper
from tests.usage.people import (
    GIB,
    MINUTE,
    free_gpu,
    moments,
    process,
    sample,
    save,
    waiting,
)
from usage import noting, tables
from usage.models import Owner, UsageSettings
from usage.notes import note_of

AFTER = MOMENT + timedelta(hours=1)


def rows(table="usage_minute", *columns):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns) or '*'} FROM {table} JOIN usage_owner o ON o.id = owner "
            "ORDER BY at, machine, gpu, o.user"
        )
        return cursor.fetchall()


def test_a_minute_is_stored_with_its_owners(keeper):
    machine = held_machine(keeper)
    assert (
        save(
            keeper, machine, [sample(at, process("ml", gib=30), process("ana")) for at in moments()]
        )
        == 2
    )
    found = rows("usage_minute", "at", "gpu", "o.user", "seconds", "share_seconds", "energy_wh")
    assert found == [
        (MOMENT, 0, "ana", 60.0, 15.0, 1.25),
        (MOMENT, 0, "ml", 60.0, 45.0, 3.75),
    ]


def test_the_running_minute_waits(keeper):
    machine = held_machine(keeper)
    minutes = waiting(machine, [sample(at, process("ml")) for at in moments(40)])
    assert noting.save(keeper.pk, holdings_of(machine), MOMENT + 1.4 * MINUTE, minutes) == 1
    assert noting.save(keeper.pk, holdings_of(machine), MOMENT + 2.1 * MINUTE, minutes) == 1


def test_a_second_run_writes_nothing_more_and_adds_nothing_to_the_hour(keeper):
    machine = held_machine(keeper)
    samples = [sample(at, process("ml")) for at in moments()]
    assert save(keeper, machine, samples) == 1
    assert save(keeper, machine, samples) == 0
    assert rows("usage_hour", "seconds") == rows("usage_day", "seconds") == [(60.0,)]


@pytest.mark.parametrize("believed_epoch", [1, 3])
def test_another_epoch_than_the_rows_writes_nothing(keeper, believed_epoch):
    machine = held_machine(keeper, epoch=2)
    minutes = waiting(machine, [sample(at, process("ml")) for at in moments()])
    assert noting.save(keeper.pk, {machine.pk: believed_epoch}, AFTER, minutes) == 0
    assert rows() == []


@pytest.mark.parametrize("unit", ["hour", "day"])
def test_an_hour_and_a_day_are_the_sums_of_their_minutes(keeper, unit):
    machine = held_machine(keeper)
    samples = [
        sample(at, process("ml", gib=1 + at.minute), gpus=[make_gpu(power_watts=float(at.second))])
        for at in moments(30 * 61)
    ]
    save(keeper, machine, samples)
    names = ", ".join(
        f"sum({name})" for name in ("seconds", "share_seconds", "busy_seconds", "energy_wh")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_trunc('{unit}', at, 'UTC'), {names}, avg(memory_mean_bytes)::float8, "
            "max(memory_max_bytes) FROM usage_minute GROUP BY 1 ORDER BY 1"
        )
        expected = cursor.fetchall()
    columns = (
        "at",
        *(part[4:-1] for part in names.split(", ")),
        "memory_mean_bytes",
        "memory_max_bytes",
    )
    found = rows(f"usage_{unit}", *columns)
    assert [row[0] for row in found] == [row[0] for row in expected]
    for got, wanted in zip(found, expected, strict=True):
        assert got[1:] == pytest.approx(wanted[1:], rel=1e-5)
    assert found[0][1] == (3600 if unit == "hour" else 3660)


def test_what_was_told_for_a_part_of_the_hour_is_kept(keeper):
    machine = held_machine(keeper)
    silent = make_gpu(power_watts=None, utilization_percent=None)
    save(keeper, machine, [sample(at, process("ml", gib=None), gpus=[silent]) for at in moments()])
    assert rows("usage_hour", "busy_seconds", "energy_wh", "memory_mean_bytes") == [(None,) * 3]
    save(keeper, machine, [sample(at, process("ml")) for at in moments(30, MOMENT + MINUTE)])
    names = ("seconds", "energy_wh", "memory_mean_bytes")
    assert rows("usage_hour", *names) == [(120.0, 5.0, pytest.approx(10 * GIB))]


def test_idleness_is_dated_back_over_minutes_and_a_short_gap(keeper):
    machine = held_machine(keeper)
    idle, busy = make_gpu(utilization_percent=0.0), make_gpu()
    states = [busy, idle, idle, None, idle, busy, idle]
    for number, gpu in enumerate(states):
        start = MOMENT + number * MINUTE
        if gpu:
            save(
                keeper,
                machine,
                [sample(at, process("ml"), gpus=[gpu]) for at in moments(30, start)],
            )
    since = [
        row[0] and round((row[0] - MOMENT) / MINUTE) for row in rows("usage_minute", "idle_since")
    ]
    assert since == [None, 1, 1, 1, None, 6]


def test_a_long_gap_ends_idleness(keeper):
    machine = held_machine(keeper)
    idle = make_gpu(utilization_percent=0.0)
    for number in (0, 10):
        start = MOMENT + number * MINUTE
        save(keeper, machine, [sample(at, process("ml"), gpus=[idle]) for at in moments(30, start)])
    assert rows("usage_minute", "idle_since") == [(MOMENT,), (MOMENT + 10 * MINUTE,)]


def test_several_minutes_at_once_date_back_too(keeper):
    machine = held_machine(keeper)
    idle = make_gpu(utilization_percent=0.0)
    save(keeper, machine, [sample(at, process("ml"), gpus=[idle]) for at in moments(90)])
    assert rows("usage_minute", "idle_since") == [(MOMENT,)] * 3


def test_a_successor_completes_the_minute_in_which_its_predecessor_died(
    keeper, redis_client, monkeypatch
):
    monkeypatch.setattr(topics, "publish", lambda team, items: None)
    machine = held_machine(keeper)
    samples = [sample(at, process("ml"), process("ana", gib=20)) for at in moments()]
    recorder = rings.Recorder(Unsaved())  # its memory dies with it
    for one in samples[:17]:
        recorder.add(machine.pk, machine.team_id, 1, one)
        recorder.flush(holdings_of(machine))
    successor = make_keeper()
    machine.owner, machine.epoch = successor, 2
    machine.save()
    minutes = waiting(machine, samples[17:])
    assert noting.save(keeper.pk, {machine.pk: 1}, AFTER, waiting(machine, samples[:17])) == 0
    assert noting.save(successor.pk, holdings_of(machine), AFTER, minutes) == 2
    restarted = rows("usage_minute", "o.user", *tables.NUMBERS)
    undisturbed = held_machine(successor, epoch=2)
    noting.save(successor.pk, holdings_of(undisturbed), AFTER, waiting(undisturbed, samples))
    assert rows("usage_minute", "o.user", *tables.NUMBERS)[2:] == restarted


def test_a_missing_month_is_made_and_loses_nothing(keeper):
    machine = held_machine(keeper)
    later = MOMENT + timedelta(days=90)
    assert save(keeper, machine, [sample(at, process("ml")) for at in moments(30, later)]) == 1
    assert rows("usage_minute", "at") == [(later,)]
    for table in tables.TABLES:
        partitions.drop(table, later.date() + timedelta(days=400))


def test_months_that_the_site_does_not_keep_are_dropped(ledger):
    UsageSettings(keep_days=31).save()
    dropped = tables.drop_expired(MOMENT.date() + timedelta(days=31))
    assert dropped == ["usage_minute_202610", "usage_hour_202610"]


def test_the_same_names_are_one_owner_and_the_nameless_too(keeper):
    for machine in (held_machine(keeper), held_machine(keeper)):
        holders = (process("ml"), process(None), process("ml", container="box"))
        save(
            keeper,
            machine,
            [sample(at, *holders, gpus=[make_gpu(), free_gpu(1)]) for at in moments()],
        )
    assert sorted(map(str, Owner.objects.all())) == ["ml", "ml", "nobody", "not known"]


@pytest.mark.parametrize("seconds", [600])
def test_energy_is_that_of_the_history_within_a_percent(keeper, redis_client, seconds):
    """The other computation: means of 20 s windows, made and stored by other code."""
    machine = held_machine(keeper)
    tiers.ensure_partitions(MOMENT.date(), days_ahead=1)
    windows, samples = Unsaved(), []
    for step, at in enumerate(moments(seconds // 2)):
        gpus = [
            make_gpu(index, power_watts=100.0 + 600.0 * ((step * 7 + index * 3) % 40) / 40)
            for index in (0, 1)
        ]
        samples.append(sample(at, process("ml"), process("ana", gib=3), gpus=gpus))
        windows.add(machine.pk, reading_of(samples[-1]))
    persist(keeper.pk, holdings_of(machine), AFTER, windows=windows)
    save(keeper, machine, samples)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(gpu_power_watts_avg) * 20 / 3600 FROM metrics_raw_machine")
        [history] = cursor.fetchone()
        cursor.execute("SELECT sum(energy_wh), sum(share_seconds) FROM usage_minute")
        energy, shares = cursor.fetchone()
    assert energy == pytest.approx(history, rel=0.01)
    assert shares == pytest.approx(2 * seconds)


def test_a_minute_of_a_large_fleet_is_saved_whole(keeper):
    team = held_machine(keeper).team
    machines = [held_machine(keeper, team) for _ in range(100)]
    gpus = [make_gpu(index) for index in range(8)]
    holders = [process("ml", index) for index in range(8)]
    samples = [sample(at, *holders, gpus=gpus) for at in moments()]
    minutes = noting.make_minutes()
    for machine in machines:
        for one in samples:
            minutes.add(machine.pk, note_of(one))
    assert noting.save(keeper.pk, holdings_of(*machines), AFTER, minutes) == 800
