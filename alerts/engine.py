"""The rules of one keeper's machines and what is not well there: readings in, transitions out.

Nothing here touches the database or looks at a clock. A machine on which all is well costs two
comparisons per rule and sample; only where a value may be a breach, or an alert is open, is each
GPU looked at. 500 machines with 8 GPUs and 10 rules are 40,000 states every two seconds.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from alerts.evaluation import COMPARISONS, UPWARD, Event, State, Trigger, step
from alerts.models import AlertRule
from alerts.quantities import QUANTITIES, Board


@dataclass(frozen=True, slots=True)
class Watched:
    """A rule as the engine reads it."""

    id: UUID
    revision: int
    metric: str
    other: str
    trigger: Trigger
    gpu: int | None
    is_per_gpu: bool
    # The first condition taken apart, because it is asked five thousand times at once.
    compare: Callable[[float, float], bool]
    threshold: float
    is_upward: bool

    @classmethod
    def of(cls, rule: AlertRule) -> "Watched":
        names = [name for name in (rule.metric, rule.and_metric) if name]
        return cls(
            rule.pk,
            rule.revision,
            rule.metric,
            rule.and_metric,
            rule.trigger,
            rule.gpu,
            any(QUANTITIES[name].is_per_gpu for name in names),
            COMPARISONS[rule.comparison],
            rule.threshold,
            rule.comparison in UPWARD,
        )


@dataclass(frozen=True, slots=True)
class Key:
    """What an alert is about."""

    rule_id: UUID
    connection_id: UUID
    gpu: int | None


@dataclass(slots=True)
class Track:
    """An alert that is not over: its row's id, the rule's revision, and its state."""

    alert_id: UUID
    revision: int
    state: State


@dataclass(frozen=True, slots=True)
class Transition:
    """What is to be written, and perhaps told, of one alert."""

    event: Event
    key: Key
    alert_id: UUID
    revision: int
    at: datetime
    state: State | None  # as it now is; None when it is over


@dataclass(slots=True)
class Engine:
    """The open alerts of the machines that this keeper holds."""

    # By machine, then by rule and GPU.
    tracks: dict[UUID, dict[Key, Track]] = field(default_factory=dict)

    def look(
        self, connection_id: UUID, rules: Sequence[Watched], at: datetime, board: Board
    ) -> list[Transition]:
        """What one sample of one machine changes."""
        tracks = self.tracks.get(connection_id)
        watched = {key.rule_id for key in tracks} if tracks else ()
        found: list[Transition] = []
        for rule in rules:
            _, least, greatest = board.column(rule.metric)
            extreme = greatest if rule.is_upward else least
            may_hold = extreme is not None and rule.compare(extreme, rule.threshold)
            if may_hold or rule.id in watched:
                found += self._look_closely(connection_id, rule, at, board)
        return found

    def adopt(self, connection_id: UUID, tracks: dict[Key, Track]) -> None:
        """Go on with what the database says of a machine that is newly held."""
        self.tracks[connection_id] = tracks

    def drop_unheld(self, held: Iterable[UUID]) -> None:
        """Forget machines that somebody else holds now."""
        for connection_id in self.tracks.keys() - set(held):
            del self.tracks[connection_id]

    def drop_outdated(self, connection_id: UUID, rules: Iterable[Watched]) -> None:
        """Forget alerts whose rule has changed or no longer is about this machine.

        Whoever changed it has closed their rows.
        """
        tracks = self.tracks.get(connection_id)
        if not tracks:
            return
        revisions = {rule.id: rule.revision for rule in rules}
        for key in [k for k, t in tracks.items() if revisions.get(k.rule_id) != t.revision]:
            del tracks[key]

    def advance(
        self,
        key: Key,
        rule: Watched,
        at: datetime,
        value: float | None,
        other: float | None = None,
    ) -> Transition | None:
        """What one reading of one thing changes."""
        tracks = self.tracks.setdefault(key.connection_id, {})
        track = tracks.get(key)
        state, event = step(rule.trigger, track.state if track else None, at, value, other)
        alert_id = track.alert_id if track else uuid.uuid4()
        if state is not None:
            tracks[key] = Track(alert_id, rule.revision, state)
        elif track is not None:
            del tracks[key]
        if event is None:
            return None
        return Transition(event, key, alert_id, rule.revision, at, state)

    def _look_closely(
        self, connection_id: UUID, rule: Watched, at: datetime, board: Board
    ) -> list[Transition]:
        found = []
        for gpu, value, other in _readings(rule, board):
            key = Key(rule.id, connection_id, gpu)
            transition = self.advance(key, rule, at, value, other)
            if transition is not None:
                found.append(transition)
        return found


def _readings(
    rule: Watched, board: Board
) -> Iterable[tuple[int | None, float | None, float | None]]:
    """`(gpu, value, value of the second condition)`; a machine's value counts for each GPU."""
    first = board.column(rule.metric)[0]
    second = board.column(rule.other)[0] if rule.other else (None,)
    if not rule.is_per_gpu:
        yield None, first[0], second[0]
        return
    of_gpus = QUANTITIES[rule.metric].is_per_gpu, rule.other and QUANTITIES[rule.other].is_per_gpu
    for place, index in enumerate(board.gpus):
        if rule.gpu is None or rule.gpu == index:
            yield index, first[place if of_gpus[0] else 0], second[place if of_gpus[1] else 0]
