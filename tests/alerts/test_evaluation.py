"""The state of a rule, reading by reading, against an oracle that looks at whole series."""

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.evaluation import COMPARISONS, LONGEST_GAP, Condition, Event, State, Trigger, step

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Reading = tuple[int, float | None, float | None]  # second, value, value of the second condition
Firing = tuple[int, int | None]  # fired at, resolved at (None: still firing)


@dataclass(frozen=True)
class Case:
    trigger: Trigger
    readings: list[Reading]


def firings_of(case: Case) -> list[Firing]:
    """What `step` makes of a series."""
    found: list[Firing] = []
    state: State | None = None
    for second, value, other in case.readings:
        state, event = step(case.trigger, state, START + timedelta(seconds=second), value, other)
        if event is Event.FIRED:
            found.append((second, None))
        elif event is Event.RESOLVED:
            found[-1] = (found[-1][0], second)
    return found


# --- The oracle: slow, and in other words ---------------------------------------------------------


def is_breach(trigger: Trigger, value: float | None, other: float | None) -> bool | None:
    return both(
        compare(trigger.condition, value, 0),
        compare(trigger.other, other, 0) if trigger.other else True,
    )


def is_lasting(trigger: Trigger, value: float | None, other: float | None) -> bool | None:
    main = compare(trigger.condition, value, trigger.clear_margin)
    return both(main, compare(trigger.other, other, 0) if trigger.other else True)


def both(one: bool | None, two: bool | None) -> bool | None:
    if False in (one, two):
        return False
    return None if None in (one, two) else True


def compare(condition: Condition, value: float | None, margin: float) -> bool | None:
    if value is None:
        return None
    if condition.comparison.startswith(">"):
        edge = condition.threshold - margin
        return value > edge or (condition.comparison == ">=" and value == edge)
    edge = condition.threshold + margin
    return value < edge or (condition.comparison == "<=" and value == edge)


def expected(case: Case) -> list[Firing]:
    """For each moment: is there an unbroken run of breaches that ends here and is long enough?"""
    found: list[Firing] = []
    free_from = 0
    while (fired := first_firing(case, free_from)) is not None:
        resolved = first_recovery(case, fired)
        found.append((case.readings[fired][0], resolved and case.readings[resolved][0]))
        if resolved is None:
            break
        free_from = resolved
    return found


def first_firing(case: Case, start: int) -> int | None:
    hold = case.trigger.hold.total_seconds()
    judged = [
        (second, is_breach(case.trigger, value, other)) for second, value, other in case.readings
    ]
    for end in range(start, len(judged)):
        for begin in range(start, end + 1):
            if judged[end][0] - judged[begin][0] >= hold and is_run(judged[begin : end + 1]):
                return end
    return None


def is_run(judged: list[tuple[int, bool | None]]) -> bool:
    """Both ends are breaches, nothing known in between is calm, and nothing is long unknown."""
    if judged[0][1] is not True or judged[-1][1] is not True:
        return False
    known = [second for second, verdict in judged if verdict is not None]
    is_whole = all(b - a <= LONGEST_GAP.total_seconds() for a, b in itertools.pairwise(known))
    return is_whole and not any(verdict is False for _, verdict in judged)


def first_recovery(case: Case, fired: int) -> int | None:
    for place in range(fired + 1, len(case.readings)):
        _, value, other = case.readings[place]
        if is_lasting(case.trigger, value, other) is False:
            return place
    return None


# --- A thousand series ----------------------------------------------------------------------------


def make_case(seed: int) -> Case:
    """A wandering value around its threshold, with gaps, absent values and a second condition."""
    dice = random.Random(seed)
    comparison = dice.choice(list(COMPARISONS))
    other = Condition(dice.choice(list(COMPARISONS)), 50) if dice.random() < 0.4 else None
    trigger = Trigger(
        Condition(comparison, 80),
        timedelta(seconds=dice.choice([0, 2, 6, 10, 30, 60])),
        dice.choice([0, 0, 1, 5]),
        other,
    )
    readings, second, value, second_value = [], 0, 80.0, 50.0
    for _ in range(dice.randint(1, 80)):
        second += dice.choices([2, 4, 20, 59, 61, 200], [80, 10, 4, 2, 2, 2])[0]
        value = round(value + dice.choice([-4, -1, 0, 0, 1, 4])) + dice.choice([0, 0, 0.5])
        value = min(90.0, max(70.0, value))
        second_value = min(54.0, max(46.0, second_value + dice.choice([-3, -1, 0, 1, 3])))
        readings.append(
            (
                second,
                None if dice.random() < 0.1 else value,
                None if dice.random() < 0.1 else second_value,
            )
        )
    return Case(trigger, readings)


def test_no_firing_is_wrong_or_missed_in_a_thousand_series() -> None:
    cases = [make_case(seed) for seed in range(1000)]
    wrong = [seed for seed, case in enumerate(cases) if firings_of(case) != expected(case)]
    assert wrong == []
    fired = sum(len(firings_of(case)) for case in cases)
    assert fired > 500  # the series are about something


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=1000, max_value=10**9))
def test_nor_in_any_other_series(seed: int) -> None:
    case = make_case(seed)
    assert firings_of(case) == expected(case)


# --- One by one -----------------------------------------------------------------------------------

ABOVE_80 = Condition(">", 80)
FOR_10_S = Trigger(ABOVE_80, timedelta(seconds=10))


def events(trigger: Trigger, *readings: Reading) -> list[tuple[int, Event]]:
    found, state = [], None
    for second, value, other in readings:
        state, event = step(trigger, state, START + timedelta(seconds=second), value, other)
        if event is not None:
            found.append((second, event))
    return found


def test_fires_with_the_first_reading_past_the_hold_time() -> None:
    readings = [(second, 90.0, None) for second in range(0, 20, 2)]
    assert events(FOR_10_S, *readings) == [(0, Event.PENDING), (10, Event.FIRED)]


def test_without_a_hold_time_fires_at_once() -> None:
    assert events(Trigger(ABOVE_80), (0, 80.0, None), (2, 80.1, None)) == [(2, Event.FIRED)]


def test_a_recovery_within_the_hold_time_is_silent() -> None:
    found = events(FOR_10_S, (0, 90.0, None), (8, 70.0, None), (10, 90.0, None))
    assert found == [(0, Event.PENDING), (8, Event.WITHDRAWN), (10, Event.PENDING)]


def test_the_clear_margin_keeps_a_firing_alert_from_flapping() -> None:
    trigger = Trigger(ABOVE_80, clear_margin=5)
    values = (81.0, 79.0, 76.0, 75.5, 75.0, 79.0)
    readings = [(2 * place, value, None) for place, value in enumerate(values)]
    assert events(trigger, *readings) == [(0, Event.FIRED), (8, Event.RESOLVED)]


def test_an_absent_value_neither_fires_nor_resolves() -> None:
    found = events(FOR_10_S, (0, 90.0, None), *((s, None, None) for s in range(2, 60, 2)))
    assert found == [(0, Event.PENDING)]
    firing = events(Trigger(ABOVE_80), (0, 90.0, None), *((s, None, None) for s in range(2, 60, 2)))
    assert firing == [(0, Event.FIRED)]


def test_a_gap_longer_than_the_limit_begins_the_hold_time_anew() -> None:
    found = events(FOR_10_S, (0, 90.0, None), (200, 90.0, None), (210, 90.0, None))
    assert found == [(0, Event.PENDING), (200, Event.PENDING), (210, Event.FIRED)]


def test_both_conditions_are_needed() -> None:
    fault = Trigger(Condition("<", 1400), other=ABOVE_80)
    assert events(fault, (0, 1200.0, 50.0)) == []
    assert events(fault, (0, 1200.0, None)) == []
    found = events(fault, (0, 1200.0, 95.0), (2, 1200.0, None), (4, None, 10.0))
    assert found == [(0, Event.FIRED), (4, Event.RESOLVED)]


def test_an_older_reading_changes_nothing() -> None:
    found = events(Trigger(ABOVE_80), (10, 90.0, None), (8, 10.0, None))
    assert found == [(10, Event.FIRED)]


@pytest.mark.parametrize("comparison", list(COMPARISONS))
def test_the_margin_lies_on_the_calm_side(comparison: str) -> None:
    condition = Condition(comparison, 80)
    calm = -1 if comparison.startswith(">") else 1
    assert condition.holds(80 + calm * 3) is False
    assert condition.holds(80 + calm * 3, 5) is True
    assert condition.holds(80 + calm * 6, 5) is False
