"""Who is charged with a minute: shares, idleness, the unknown and nobody, and sums that close."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metrics.collectors.readings import MigDevice
from tests.metrics.machines import MOMENT, make_gpu
from tests.usage.people import END, GIB, free_gpu, moments, notes, process, sample
from usage.attribution import MOST_ROWS, minute
from usage.notes import MOST_OWNERS, NOBODY, UNKNOWN, GpuNote, Note, Owner, note_from, note_of

ML, ANA = Owner("ml"), Owner("ana")


def entries(samples):
    made = minute(END, notes(samples), interval_seconds=2.0)
    return {(entry.gpu, entry.owner): entry for entry in made.entries}


def test_a_full_minute_of_one_owner():
    [entry] = entries([sample(at, process("ml")) for at in moments()]).values()
    assert (entry.gpu, entry.owner, entry.idle_seconds) == (0, ML, 0.0)
    assert entry.seconds == entry.share_seconds == pytest.approx(60)
    assert entry.busy_seconds == entry.gpu_busy_seconds == pytest.approx(30)
    assert entry.memory_mean_bytes == pytest.approx(10 * GIB)
    assert entry.memory_max_bytes == 10 * GIB
    assert entry.energy_wh == pytest.approx(300 / 60)


def test_owners_of_one_gpu_share_it_by_memory():
    found = entries([sample(at, process("ml", gib=30), process("ana")) for at in moments()])
    ml, ana = found[0, ML], found[0, ANA]
    assert (ml.seconds, ana.seconds) == (pytest.approx(60), pytest.approx(60))
    assert (ml.share_seconds, ana.share_seconds) == (pytest.approx(45), pytest.approx(15))
    assert (ml.busy_seconds, ana.busy_seconds) == (pytest.approx(22.5), pytest.approx(7.5))
    assert ml.energy_wh == pytest.approx(3 * ana.energy_wh)


def test_memory_that_one_does_not_tell_makes_equal_shares():
    found = entries(
        [sample(at, process("ml", gib=30), process("ana", gib=None)) for at in moments()]
    )
    assert found[0, ML].share_seconds == found[0, ANA].share_seconds == pytest.approx(30)
    assert found[0, ANA].memory_mean_bytes is None
    assert found[0, ANA].idle_seconds is None


def test_processes_of_one_owner_are_added_up():
    [entry] = entries(
        [sample(at, process("ml", pid=1), process("ml", pid=2)) for at in moments()]
    ).values()
    assert entry.memory_max_bytes == 20 * GIB


def test_a_container_makes_another_owner_of_the_same_user():
    found = entries(
        [sample(at, process("root", container="train"), process("root")) for at in moments()]
    )
    assert set(found) == {(0, Owner("root", "train")), (0, Owner("root"))}


def test_a_hidden_user_is_not_known_and_not_nobody():
    [entry] = entries([sample(at, process(None)) for at in moments()]).values()
    assert entry.owner == UNKNOWN


def test_nobody_has_a_free_gpu():
    [entry] = entries([sample(at, gpus=[free_gpu()]) for at in moments()]).values()
    assert (entry.owner, entry.share_seconds) == (NOBODY, pytest.approx(60))
    assert (entry.energy_wh, entry.idle_seconds) == (pytest.approx(1.0), None)


@pytest.mark.parametrize("fields", [{"memory_used_bytes": GIB}, {"utilization_percent": 5.0}])
def test_use_without_a_visible_process_is_somebodys(fields):
    [entry] = entries([sample(at, gpus=[free_gpu(**fields)]) for at in moments()]).values()
    assert entry.owner == UNKNOWN


def test_the_memory_of_a_machine_is_not_that_of_its_unified_gpu():
    gpu = free_gpu(memory_kind="unified", memory_used_bytes=100 * GIB)
    [entry] = entries([sample(at, gpus=[gpu]) for at in moments()]).values()
    assert entry.owner == NOBODY
    [entry] = entries([sample(at, process("ml", gib=40), gpus=[gpu]) for at in moments()]).values()
    assert (entry.owner, entry.memory_max_bytes) == (ML, 40 * GIB)
    assert entry.idle_seconds == pytest.approx(60)


def test_a_process_on_a_mig_slice_belongs_to_its_gpu():
    gpus = [make_gpu(0), make_gpu(1, mig=(MigDevice(0, uuid="MIG-a"),), utilization_percent=None)]
    found = entries([sample(at, process("ml", gpu_uuid="MIG-a"), gpus=gpus) for at in moments()])
    assert found[1, ML].share_seconds == pytest.approx(60)
    assert (found[1, ML].busy_seconds, found[1, ML].idle_seconds) == (None, None)
    assert found[1, ML].energy_wh == pytest.approx(5)


def test_a_process_that_names_no_gpu_belongs_to_the_only_one_or_to_none():
    nameless = process("ml", gpu_uuid=None)
    assert set(entries([sample(MOMENT, nameless)])) == {(0, ML)}
    two = [free_gpu(0), free_gpu(1)]
    assert {owner for _, owner in entries([sample(MOMENT, nameless, gpus=two)])} == {NOBODY}


def test_a_gpu_that_is_lost_is_not_counted_from_then_on():
    lost = make_gpu(utilization_percent=None, power_watts=None, memory_used_bytes=None)
    at = moments()
    half = [sample(one, process("ml")) for one in at[:15]]
    [entry] = entries(half + [sample(one, gpus=[lost]) for one in at[15:]]).values()
    assert entry.seconds == pytest.approx(30)


def test_idle_is_holding_memory_below_five_percent():
    gpu = make_gpu(utilization_percent=4.9)
    found = entries(
        [sample(at, process("ml"), process("ana", gib=0.4), gpus=[gpu]) for at in moments()]
    )
    assert found[0, ML].is_idle
    assert found[0, ML].idle_seconds == pytest.approx(60)
    assert found[0, ANA].idle_seconds == 0.0


def test_what_no_sample_stands_for_is_not_counted():
    at = moments()
    [entry] = entries([sample(one, process("ml")) for one in (*at[:5], *at[20:])]).values()
    # From 9 s to 41 s nothing was read; three seconds on either side count.
    assert entry.seconds == pytest.approx(60 - 32 + 6)


def test_a_lone_sample_stands_for_three_intervals():
    [entry] = entries([sample(MOMENT + timedelta(seconds=30), process("ml"))]).values()
    assert entry.seconds == pytest.approx(6)


def test_the_order_of_arrival_does_not_matter():
    samples = [sample(at, process("ml", gib=step)) for step, at in enumerate(moments(), 1)]
    assert entries(samples) == entries(list(reversed(samples)))


def test_too_many_owners_are_counted_together():
    crowd = [process(f"user-{number}", pid=number) for number in range(MOST_OWNERS + 100)]
    found = entries([sample(MOMENT, *crowd)])
    assert len(found) == MOST_OWNERS + 1
    assert found[0, UNKNOWN].memory_max_bytes == 100 * 10 * GIB


def test_hostile_names_fit_the_column():
    [(_, owner)] = entries([sample(MOMENT, process("a\0b" + "x" * 500))])
    assert owner.user == "ab" + "x" * 98


def test_the_live_ring_gives_the_same_note():
    gpus = [make_gpu(0), make_gpu(1, mig=(MigDevice(0, uuid="MIG-a"),))]
    at = MOMENT + timedelta(microseconds=123_456)
    one = sample(at, process("ml"), process(None, gpu_uuid="MIG-a"), gpus=gpus)
    assert note_from(one.as_dict() | {"connection_id": "x", "seq": 1}) == note_of(one)


@pytest.mark.parametrize("seed", range(60))
def test_random_tables_equal_an_independent_computation_and_close(seed):
    """Steps of a millisecond, each charged to the nearest sample: slow, plain, and no formula."""
    choose = random.Random(seed)
    at = sorted(choose.sample(range(60_000), choose.randint(1, 35)))
    samples = [_random_sample(choose, MOMENT + timedelta(milliseconds=time)) for time in at]
    expected = _by_milliseconds(at, notes(samples))
    found = entries(samples)
    time: dict[int, float] = defaultdict(float)
    energy: dict[int, float] = defaultdict(float)
    for (gpu, owner), entry in found.items():
        assert entry.share_seconds == pytest.approx(expected[gpu, owner][0], abs=0.06)
        assert (entry.energy_wh or 0) == pytest.approx(expected[gpu, owner][1], abs=0.01)
        time[gpu] += entry.share_seconds
        energy[gpu] += entry.energy_wh or 0
    assert {key for key, row in expected.items() if row[0] > 0.1} <= set(found)
    for gpu, seconds in time.items():
        shares = [row for (index, _), row in expected.items() if index == gpu]
        assert seconds == pytest.approx(sum(row[0] for row in shares), abs=0.06)
        assert energy[gpu] == pytest.approx(sum(row[1] for row in shares), abs=0.01)


def _random_sample(choose, at):
    gpus = [
        make_gpu(
            index,
            utilization_percent=choose.choice([None, 0.0, 4.0, 60.0, 100.0]),
            power_watts=choose.choice([None, 50.0, 700.0]),
            memory_used_bytes=choose.choice([None, 0, 10 * GIB]),
        )
        for index in range(choose.randint(1, 3))
    ]
    processes = [
        process(
            choose.choice(["ml", "ana", None]), choose.randint(0, 2), choose.choice([None, 0, 1, 5])
        )
        for _ in range(choose.randint(0, 5))
    ]
    return sample(at, *processes, gpus=gpus)


def _by_milliseconds(at: list[int], noted: list[Note]) -> dict[Any, list[float]]:
    rows: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for moment in range(5, 60_000, 10):
        nearest = min(range(len(at)), key=lambda place: abs(at[place] - moment))
        if abs(at[nearest] - moment) > 3_000:
            continue
        for gpu in noted[nearest].gpus:
            for owner, part in _owners(gpu).items():
                rows[gpu.index, owner][0] += 0.01 * part
                rows[gpu.index, owner][1] += 0.01 * part * (gpu.power_watts or 0) / 3600
    return rows


def _owners(gpu):
    if gpu.holders:
        told = list(gpu.holders.values())
        if None in told or sum(told) == 0:
            return {owner: 1 / len(told) for owner in gpu.holders}
        return {owner: held / sum(told) for owner, held in gpu.holders.items()}
    if gpu.utilization_percent is None and gpu.used_bytes is None:
        return {}
    is_free = (gpu.utilization_percent or 0) < 5 and (gpu.used_bytes or 0) < 500 * 2**20
    return {NOBODY if is_free else UNKNOWN: 1.0}


def test_rows_of_a_minute_are_bounded_and_nothing_is_lost() -> None:
    """Owners beyond the budget are one together; the GPU's time stays whole."""
    end = datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
    seen = [
        Note(
            end - timedelta(seconds=60 - 2 * number),
            (GpuNote(0, 50.0, 100.0, None, {Owner(f"u{number}-{one}"): 5 for one in range(64)}),),
        )
        for number in range(30)
    ]
    found = minute(end, seen, 2.0)
    assert len(found.entries) == MOST_ROWS + 1
    assert sum(entry.share_seconds for entry in found.entries) == pytest.approx(60.0)
    (rest,) = [entry for entry in found.entries if entry.owner == UNKNOWN]
    assert 0 < rest.seconds < 60.0
