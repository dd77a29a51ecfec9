"""A keeper's eye on its machines: samples are noted as they come, and judged every two seconds.

Noting only appends to a list, because every machine's next frame waits for it. Judging happens on
a thread of its own, at the keeper's own pace: neither Celery nor Redis is needed. The states live
in memory and each change is written; a successor reads the open alerts from the database and goes
on. While the database is down what has changed waits here, in order.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from alerts import estimates, transitions
from alerts.engine import Engine, Key, Track, Transition
from alerts.evaluation import Event, Phase, State
from alerts.guard import Gauge
from alerts.models import Alert
from alerts.plan import Plan, refreshed
from alerts.quantities import NOT_SEEN, Board
from connections.keeper import process
from connections.keeper.keeper import Keeper
from connections.keeper.link import Link
from core.background import isolation
from metrics.collectors.readings import Sample

logger = logging.getLogger(__name__)

# Two minutes of samples: more does not wait for a judgement that hangs.
MOST_NOTED = 60
# Changes that wait for the database; beyond that the oldest are lost.
MOST_UNWRITTEN = 20_000
# How often the row of an open alert learns the current value, in judgements.
REFRESH_EVERY = 5

Noted = Mapping[UUID, Sequence[tuple[int, Sample]]]


class Watch:
    """The alerts of one keeper. `note` and `pace` belong to the reading thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[UUID, deque[tuple[int, Sample]]] = {}
        self._engine = Engine()
        self._plan = Plan()
        self._gauges: dict[UUID, Gauge] = {}
        self._adopted: dict[UUID, int] = {}  # machine → the epoch under which its rows were read
        self._unwritten: deque[Transition] = deque(maxlen=MOST_UNWRITTEN)
        self._judgements = 0
        self._due = 0.0
        self._is_judging = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="alerts")

    def note(self, link: Link, sample: Sample) -> None:
        """Remember a sample until the next judgement."""
        with self._lock:
            noted = self._noted.setdefault(link.connection_id, deque(maxlen=MOST_NOTED))
            noted.append((link.epoch, sample))

    def pace(self) -> None:
        """Called many times a second: judge when it is time, and never twice at once."""
        held = process.current()
        if held is None or time.monotonic() < self._due or self._is_judging.is_set():
            return
        self._due = time.monotonic() + settings.SAMPLE_SECONDS
        self._is_judging.set()
        self._pool.submit(self._judge_safely, held)

    def judge(self, keeper_id: UUID, holdings: Mapping[UUID, int]) -> int:
        """Evaluate what was noted since the last time; how many changes were written.

        Never raises for a database that is down.
        """
        noted = self._take()
        self._let_go(holdings)
        try:
            self._catch_up(holdings)
        except (DatabaseError, InterfaceError) as error:
            _log(error, "alert rules are as they were last read")
        left: dict[UUID, float] = {}
        self._unwritten.extend(self._evaluate(noted, holdings, left))
        written = self._write(keeper_id, holdings)
        estimates.keep(left)
        return written

    def _judge_safely(self, held: Keeper) -> None:
        try:
            self.judge(held.id, held.holdings())
        except Exception:
            logger.exception("alerts could not be judged")
        finally:
            close_old_connections()
            self._is_judging.clear()

    def _take(self) -> Noted:
        with self._lock:
            noted, self._noted = self._noted, {}
        return noted

    def _let_go(self, holdings: Mapping[UUID, int]) -> None:
        """What another keeper holds now is for that one to know."""
        self._adopted = {id: epoch for id, epoch in self._adopted.items() if id in holdings}
        self._engine.drop_unheld(holdings)
        for connection_id in self._gauges.keys() - holdings.keys():
            del self._gauges[connection_id]

    def _catch_up(self, holdings: Mapping[UUID, int]) -> None:
        """Read the rules if they have changed, and what is open on machines that are new here."""
        plan = refreshed(self._plan, holdings.keys())
        if plan is not self._plan:
            self._plan = plan
            for connection_id in list(self._engine.tracks):
                self._engine.drop_outdated(connection_id, plan.rules.get(connection_id, ()))
        new = [id for id, epoch in holdings.items() if self._adopted.get(id) != epoch]
        if not new:
            return
        left = _open_tracks(new)
        self._unwritten = deque(
            (one for one in self._unwritten if one.key.connection_id not in left),
            maxlen=MOST_UNWRITTEN,
        )
        for connection_id, tracks in left.items():
            self._engine.adopt(connection_id, tracks)
            self._adopted[connection_id] = holdings[connection_id]

    def _evaluate(
        self, noted: Noted, holdings: Mapping[UUID, int], left: dict[UUID, float]
    ) -> list[Transition]:
        """What the samples change; puts the guard's estimates into `left`."""
        found: list[Transition] = []
        isolation.each(
            noted.items(),
            lambda one: found.extend(self._look(*one, holdings.get(one[0]), left)),
            name="judging the samples of",
            key=lambda one: one[0],
        )
        return found

    def _look(
        self,
        connection_id: UUID,
        samples: Sequence[tuple[int, Sample]],
        epoch: int | None,
        left: dict[UUID, float],
    ) -> list[Transition]:
        """The same of one machine."""
        found: list[Transition] = []
        if epoch is None or self._adopted.get(connection_id) != epoch:
            return found
        rules = self._plan.rules.get(connection_id, ())
        for sample_epoch, sample in samples:
            if sample_epoch != epoch:
                continue
            seconds = self._memory_left(connection_id, sample)
            if seconds is not None:
                left[connection_id] = seconds
            if rules:
                board = Board(sample, seconds)
                found += self._engine.look(connection_id, rules, sample.recorded_at, board)
        return found

    def _memory_left(self, connection_id: UUID, sample: Sample) -> float | None:
        """The guard's estimate, where memory is unified or a rule asks for it."""
        is_unified = any(gpu.memory_kind == "unified" for gpu in sample.gpus)
        if not is_unified and not self._plan.guards(connection_id):
            return None
        gauge = self._gauges.setdefault(connection_id, Gauge())
        return gauge.add(sample.recorded_at.timestamp(), sample.memory)

    def _write(self, keeper_id: UUID, holdings: Mapping[UUID, int]) -> int:
        self._judgements += 1
        waiting = list(self._unwritten)
        try:
            written = transitions.apart_if_refused(
                waiting, partial(transitions.write_held, keeper_id, holdings)
            )
            self._unwritten.clear()
            if self._judgements % REFRESH_EVERY == 0:
                transitions.refresh(self._still_open())
        except (DatabaseError, InterfaceError) as error:
            _log(error, f"{len(waiting)} changes of alerts wait for the database")
            return 0
        return written

    def _still_open(self) -> list[Transition]:
        return [
            Transition(Event.PENDING, key, t.alert_id, t.revision, t.state.seen_at, t.state)
            for tracks in self._engine.tracks.values()
            for key, t in tracks.items()
        ]


def _open_tracks(ids: Iterable[UUID]) -> dict[UUID, dict[Key, Track]]:
    """What the database says is open on these machines, by machine."""
    found: dict[UUID, dict[Key, Track]] = {id: {} for id in ids}
    rows = Alert.objects.open().filter(connection_id__in=found).exclude(rule__metric=NOT_SEEN)
    for row in rows.select_related("rule"):
        key = Key(row.rule_id, row.connection_id, row.gpu)
        state = State(Phase(row.state), row.started_at, row.seen_at, row.value)
        found[row.connection_id][key] = Track(row.pk, row.rule.revision, state)
    return found


def _log(error: Exception, what: str) -> None:
    """The database being away is a line; anything else is a fault of ours."""
    if isolation.is_down(error):
        logger.error("%s: %s", what, error)
    else:
        logger.error(what, exc_info=error)


# The watch of this process's keeper.
watch = Watch()
