"""Windows that wait: closing, adopting, and a bound on how many."""

from datetime import timedelta
from uuid import uuid4

from metrics.history.buffer import Unsaved
from metrics.history.window import reading_of
from tests.metrics.machines import MOMENT, every_two_seconds, make_sample

MACHINE = uuid4()
LATER = MOMENT + timedelta(hours=1)


def readings(count, start=MOMENT):
    return [reading_of(make_sample(at)) for at in every_two_seconds(count, start)]


def counts(windows, before=LATER):
    return [(window.at, window.count) for _, window in windows.ended(before, {MACHINE})]


def test_only_windows_that_have_ended_are_given_out():
    windows = Unsaved()
    for reading in readings(15):
        windows.add(MACHINE, reading)
    end = MOMENT + timedelta(seconds=20)
    assert counts(windows, end) == [(end, 10)]


def test_a_window_stays_until_it_is_discarded():
    windows = Unsaved()
    for reading in readings(10):
        windows.add(MACHINE, reading)
    ended = windows.ended(LATER, {MACHINE})
    assert windows.ended(LATER, {MACHINE}) == ended
    windows.discard(ended)
    assert windows.ended(LATER, {MACHINE}) == []


def test_machines_that_are_not_held_wait():
    windows = Unsaved()
    windows.add(MACHINE, readings(1)[0])
    assert windows.ended(LATER, {uuid4()}) == []
    assert len(windows.ended(LATER, {MACHINE})) == 1


def test_the_successor_completes_the_window_of_its_predecessor():
    windows = Unsaved()
    every = readings(10)
    for reading in every[6:]:
        windows.add(MACHINE, reading)
    windows.adopt(MACHINE, 2, reversed(every[:8]))  # overlaps, newest first as Redis has it
    assert counts(windows) == [(MOMENT + timedelta(seconds=20), 10)]


def test_a_window_closed_before_adopting_is_completed_too():
    windows = Unsaved()
    every = readings(11)
    for reading in every[5:]:
        windows.add(MACHINE, reading)
    windows.adopt(MACHINE, 2, every)
    assert [count for _, count in counts(windows)] == [10, 1]


def test_a_shorter_half_does_not_replace_a_whole_window():
    windows = Unsaved()
    every = readings(11)
    for reading in every:
        windows.add(MACHINE, reading)
    windows.adopt(MACHINE, 2, every[7:10])
    assert [count for _, count in counts(windows)] == [10, 1]


def test_each_epoch_is_adopted_once():
    windows = Unsaved()
    assert windows.to_adopt({MACHINE: 3}) == [MACHINE]
    windows.adopt(MACHINE, 3, [])
    assert windows.to_adopt({MACHINE: 3}) == []
    assert windows.to_adopt({MACHINE: 4}) == [MACHINE]


def test_the_oldest_go_when_there_are_too_many():
    windows = Unsaved(max_closed=3)
    for reading in readings(60):
        windows.add(MACHINE, reading)
    ends = [at for at, _ in counts(windows)]
    assert ends == [MOMENT + timedelta(seconds=20 * number) for number in (4, 5, 6)]
    assert windows.lost == 3
