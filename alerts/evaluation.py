"""What one more reading makes of a rule's state: a pure function, no clock and no database.

    nothing ──breach──▶ pending ──held for long enough──▶ firing ──cleared──▶ nothing
                           └──calm again: silent──▶ nothing

* A reading is a breach, calm, or unknown. Unknown (a value that the machine does not report, a
  machine that does not answer) is neither: the state stays as it is and nothing fires.
* `pending` ends at the first calm reading, without a word. If readings were unknown or missing for
  longer than `longest_gap`, the hold time begins anew: nobody knows what was in between.
* `firing` ends when the value is calm by `clear_margin`, or when the second condition no longer
  holds. In between – calm, but not by the margin – it goes on.
* Two conditions are both needed; one that is surely calm decides even if the other is unknown.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# Twice what a machine needs to change hands after the death of its keeper, and then some.
LONGEST_GAP = timedelta(seconds=60)

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
UPWARD = frozenset({">", ">="})


class Phase(StrEnum):
    PENDING = "pending"
    FIRING = "firing"


class Event(StrEnum):
    """What the last reading changed."""

    PENDING = "pending"  # also: the hold time began anew
    WITHDRAWN = "withdrawn"
    FIRED = "fired"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Condition:
    """`value comparison threshold`."""

    comparison: str
    threshold: float

    def holds(self, value: float | None, margin: float = 0.0) -> bool | None:
        """Whether it holds, or with a margin: whether it does not clearly fail. None: unknown."""
        if value is None:
            return None
        slack = -margin if self.comparison in UPWARD else margin
        return COMPARISONS[self.comparison](value, self.threshold + slack)


@dataclass(frozen=True, slots=True)
class Trigger:
    """The part of a rule that decides."""

    condition: Condition
    hold: timedelta = timedelta(0)
    clear_margin: float = 0.0
    other: Condition | None = None

    def holds(
        self, value: float | None, other: float | None, *, is_firing: bool = False
    ) -> bool | None:
        """Whether a reading is a breach – or, while firing, no recovery. None: unknown."""
        first = self.condition.holds(value, self.clear_margin if is_firing else 0.0)
        if self.other is None:
            return first
        second = self.other.holds(other)
        if first is False or second is False:
            return False
        return None if first is None or second is None else True


@dataclass(frozen=True, slots=True)
class State:
    """An alert that is not over. `seen_at` is the last known reading, `value` what it was."""

    phase: Phase
    started_at: datetime
    seen_at: datetime
    value: float | None


def step(
    trigger: Trigger,
    state: State | None,
    at: datetime,
    value: float | None,
    other: float | None = None,
    *,
    longest_gap: timedelta = LONGEST_GAP,
) -> tuple[State | None, Event | None]:
    """The state after the reading at `at`, and what that changed; None is “all is well”.

    Readings come in the order of time; one that is older than the last known one changes nothing.
    """
    is_firing = state is not None and state.phase is Phase.FIRING
    holds = trigger.holds(value, other, is_firing=is_firing)
    if holds is None or (state is not None and at < state.seen_at):
        return state, None
    if not holds:
        return None, _end_of(state)
    if state is None:
        return _begin(trigger, at, value)
    if is_firing:
        return replace(state, seen_at=at, value=value), None
    if at - state.seen_at > longest_gap:
        return _begin(trigger, at, value)
    if at - state.started_at >= trigger.hold:
        return State(Phase.FIRING, state.started_at, at, value), Event.FIRED
    return replace(state, seen_at=at, value=value), None


def _end_of(state: State | None) -> Event | None:
    if state is None:
        return None
    return Event.RESOLVED if state.phase is Phase.FIRING else Event.WITHDRAWN


def _begin(trigger: Trigger, at: datetime, value: float | None) -> tuple[State, Event]:
    if trigger.hold:
        return State(Phase.PENDING, at, at, value), Event.PENDING
    return State(Phase.FIRING, at, at, value), Event.FIRED
