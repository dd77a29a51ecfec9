"""Machines that nobody can reach, and alerts that nothing watches: judged by a worker.

No keeper sees a machine that is gone, and there may be no keeper at all; so every two seconds one
worker asks the rows. All states are in the database: the open alerts are locked while they are
judged, and two workers that do so at once come to the same end.

A machine counts as seen while its keeper lives and calls it connected; otherwise from its last
sample. For one that was only just wished the time counts from the wish.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction

from alerts import transitions
from alerts.engine import Engine, Key, Track, Transition, Watched
from alerts.evaluation import Phase, State
from alerts.models import Alert, AlertRule
from alerts.quantities import NOT_SEEN
from connections.models import Connection, Status
from core.background import isolation
from metrics.live import store as live_store


def watch(now: datetime) -> int:
    """Judge absence once; how many changes were written. Redis down: nothing is known, nothing is
    changed (`Unavailable`).
    """
    close_unwatched()
    rules = list(AlertRule.objects.watching().filter(metric=NOT_SEEN))
    if not rules:
        return 0
    machines = list(_wished(rules))
    seen = _last_seen(machines, now)
    with transaction.atomic():
        engine = Engine(_tracks(rules))
        found: list[Transition] = []
        isolation.each(
            machines,
            lambda machine: found.extend(_judge(rules, machine, seen.get(machine.pk), engine, now)),
            name="judging the absence of",
        )
        # Together, so that what fires together is told together.
        return transitions.apart_if_refused(found, transaction.atomic(transitions.write))


def close_unwatched() -> int:
    """End what is open on machines that are let go, or outside of their rule by now."""
    rows = Alert.objects.open().select_related("rule", "connection")
    strays: list[Alert] = []

    def look(alert: Alert) -> None:
        if not _is_watched(alert):
            strays.append(alert)

    isolation.each(rows, look, name="looking after alert")
    if not strays:
        return 0
    with transaction.atomic():
        return transitions.close(strays)


def _is_watched(alert: Alert) -> bool:
    rule, machine = alert.rule, alert.connection
    lives = rule.enabled and rule.deleted_at is None and machine.deleted_at is None
    return lives and machine.is_active and rule.covers(machine)


def _wished(rules: Iterable[AlertRule]) -> Iterable[Connection]:
    teams = {rule.team_id for rule in rules}
    rows = Connection.objects.living().filter(is_active=True, team_id__in=teams)
    return rows.select_related("owner")


def _last_seen(machines: Sequence[Connection], now: datetime) -> Mapping[UUID, datetime]:
    """When each machine last showed life; those that never did are missing."""
    here = {row.pk: now for row in machines if _is_seen(row, now)}
    away = [row for row in machines if row.pk not in here]
    samples = live_store.latest_json([row.pk for row in away], strict=True)
    found = dict(here)
    for row in away:
        text = samples.get(row.pk)
        if text is not None:
            found[row.pk] = datetime.fromisoformat(orjson.loads(text)["recorded_at"])
        elif row.last_connected_at is not None:
            found[row.pk] = row.last_connected_at
    return found


def _is_seen(row: Connection, now: datetime) -> bool:
    alive = timedelta(seconds=settings.KEEPER_TTL_SECONDS)
    is_kept = row.owner is not None and row.owner.heartbeat_at > now - alive
    return is_kept and row.status == Status.CONNECTED and not row.reason


def _tracks(rules: Iterable[AlertRule]) -> dict[UUID, dict[Key, Track]]:
    revisions = {rule.pk: rule.revision for rule in rules}
    found: dict[UUID, dict[Key, Track]] = {}
    for row in Alert.objects.open().filter(rule_id__in=revisions).select_for_update():
        key = Key(row.rule_id, row.connection_id, row.gpu)
        state = State(Phase(row.state), row.started_at, row.seen_at, row.value)
        found.setdefault(row.connection_id, {})[key] = Track(row.pk, revisions[row.rule_id], state)
    return found


def _judge(
    rules: Sequence[AlertRule],
    machine: Connection,
    seen: datetime | None,
    engine: Engine,
    now: datetime,
) -> list[Transition]:
    found: list[Transition] = []
    for rule in rules:
        if not rule.covers(machine):
            continue
        key = Key(rule.pk, machine.pk, None)
        track = engine.tracks.get(machine.pk, {}).get(key)
        is_firing = track is not None and track.state.phase is Phase.FIRING
        value = _absence(machine, seen, now, is_firing=is_firing)
        transition = engine.advance(key, Watched.of(rule), now, value)
        if transition is not None:
            found.append(transition)
    return found


def _absence(
    machine: Connection, seen: datetime | None, now: datetime, *, is_firing: bool
) -> float:
    """Seconds without life. A new wish gives a machine its time, but ends no alert."""
    wished = machine.retry_now_at or machine.created_at
    since = seen or wished
    if not is_firing:
        since = max(since, wished)
    return max(0.0, (now - since).total_seconds())
