"""When the guard says how long memory lasts, and when it keeps quiet."""

import math
import random
from collections.abc import Callable

import pytest

from alerts.guard import NEVER, Gauge, slope, words
from metrics.collectors.readings import Memory

GIB = 1024**3
TOTAL = 120 * GIB


def memory(available_gib: float, swap_used_gib: float = 0, pressure: float | None = 0.0) -> Memory:
    available = max(0, round(available_gib * GIB))
    swap = round(swap_used_gib * GIB)
    return Memory(TOTAL, TOTAL - available, available, 16 * GIB, swap, pressure)


def watch(available: Callable[[float], float], seconds: int) -> list[tuple[int, float | None]]:
    """The guard's word every two seconds; `available` in GiB of the second."""
    gauge = Gauge()
    return [(at, gauge.add(at, memory(available(at)))) for at in range(0, seconds, 2)]


def alarms(answers: list[tuple[int, float | None]]) -> list[int]:
    return [at for at, left in answers if left is not None and left < NEVER]


def test_a_steady_fall_is_told_with_the_time_that_is_left() -> None:
    answers = dict(watch(lambda at: 50 - 0.1 * at, 400))
    for at in (60, 200, 300, 398):
        left = answers[at]
        assert left is not None
        assert left == pytest.approx(500 - at, rel=0.02)


def test_noise_does_not_bend_the_answer() -> None:
    dice = random.Random(1)
    answers = dict(watch(lambda at: 50 - 0.1 * at + dice.gauss(0, 0.15), 400))
    for at in (120, 200, 300):
        assert answers[at] == pytest.approx(500 - at, rel=0.2)


def test_outliers_do_not_either() -> None:
    dice = random.Random(2)
    answers = dict(watch(lambda at: 50 - 0.1 * at - (8 if dice.random() < 0.1 else 0), 300))
    known = [at for at in alarms(list(answers.items())) if at >= 130]
    assert len(known) > 60
    assert answers[known[-1]] == pytest.approx(500 - known[-1], rel=0.3)


def test_stairs_that_go_down_are_a_fall() -> None:
    answers = watch(lambda at: 50 - 1.0 * (at // 10), 400)
    assert len(alarms(answers)) > 100


def test_one_step_down_is_no_alarm_once_it_is_over() -> None:
    """A model is loaded: 60 GiB in 20 s, then nothing more."""
    answers = watch(lambda at: 100 - 3 * min(20, max(0, at - 300)), 900)
    assert [at for at in alarms(answers) if at > 340] == []


def test_steady_memory_is_quiet_however_little_there_is() -> None:
    dice = random.Random(3)
    assert alarms(watch(lambda at: 6 + dice.gauss(0, 0.2), 1800)) == []


@pytest.mark.parametrize("period", [20, 60, 100, 180, 300])
@pytest.mark.parametrize("depth", [2, 6, 15])
def test_a_cache_that_fills_and_empties_is_no_alarm(period: int, depth: int) -> None:
    """After its first round: until then it looks like a fall, and is one."""
    dice = random.Random(period * depth)
    answers = watch(lambda at: 40 - depth * (at % period) / period + dice.gauss(0, 0.05), 3600)
    assert [at for at in alarms(answers) if at > 2 * period + 120] == []


def test_a_fall_out_of_such_a_cache_is_told() -> None:
    def available(at: float) -> float:
        return 40 - 6 * (at % 60) / 60 - 0.1 * max(0, at - 1200)

    assert [at for at in alarms(watch(available, 1500)) if at > 1300]


def test_plenty_of_memory_needs_no_warning() -> None:
    assert alarms(watch(lambda at: 119 - 0.1 * at, 500)) == []


def test_memory_that_is_not_reported_is_unknown() -> None:
    assert Gauge().add(0, Memory()) is None
    assert Gauge().add(0, Memory(TOTAL, 1, None)) is None


def test_too_few_readings_are_no_alarm() -> None:
    assert alarms(watch(lambda at: 20 - 0.5 * at, 29)) == []


def test_swap_that_fills_up_counts() -> None:
    """What is available stays, because the kernel swaps out as fast as a program takes."""
    gauge, answers = Gauge(), []
    for at in range(0, 100, 2):
        answers.append((at, gauge.add(at, memory(4, swap_used_gib=0.1 * at))))
    assert answers[-1][1] == pytest.approx((4 + 16 - 9.8) / 0.1, rel=0.05)


def test_under_pressure_the_fall_need_not_be_new() -> None:
    def last(pressure: float) -> float | None:
        gauge = Gauge()
        for at in range(0, 300, 2):
            gauge.add(at, memory(4))  # an earlier low
        for at in range(300, 700, 2):
            gauge.add(at, memory(30 - 0.05 * (at - 300), pressure=0.0))
        return gauge.add(700, memory(10, pressure=pressure))

    assert last(0.0) == NEVER
    assert last(60.0) == pytest.approx(200, rel=0.1)


def test_the_slope_is_the_median_of_all_pairs() -> None:
    assert slope([(0, 0), (1, -1), (2, -2), (3, -3), (4, 50)]) == pytest.approx(-1)
    assert slope([]) == slope([(0, 1)]) == 0
    assert math.isinf(NEVER)


def test_the_words_are_as_exact_as_the_estimate() -> None:
    assert words(236) == "about 4 minutes left"
    assert words(47) == "about 50 seconds left"
    assert words(0) == "about 10 seconds left"
