"""Write what became of alerts, once and in order, and tell of it.

A keeper writes only about machines that it holds under the epoch it believes in, and only by rules
that are still what it read; the rest is dropped, because somebody else has decided by then. All of
it happens in one transaction: what is not committed was not told.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from alerts import notify
from alerts.engine import Key, Transition
from alerts.evaluation import Event
from alerts.models import Alert, AlertRule, AlertState
from connections.keeper import leases
from core.background import isolation

logger = logging.getLogger(__name__)


def write_held(
    keeper_id: UUID, holdings: Mapping[UUID, int], transitions: Sequence[Transition]
) -> int:
    """Write a keeper's transitions in their order; how many were written."""
    if not transitions:
        return 0
    with transaction.atomic():
        machines = {one.key.connection_id for one in transitions}
        owned = leases.lock_held(keeper_id, holdings, machines)
        return write([one for one in transitions if one.key.connection_id in owned])


def write(transitions: Sequence[Transition]) -> int:
    """The same without asking who holds the machine; inside a transaction."""
    rules = _locked_rules({one.key.rule_id for one in transitions})
    standing = [one for one in transitions if rules.get(one.key.rule_id) == one.revision]
    teams = dict(AlertRule.objects.filter(pk__in=rules).values_list("pk", "team_id"))
    for (_, event), group in groupby(_in_rounds(standing), key=lambda pair: pair[0]):
        _write_group(event, [one for _, one in group], teams)
    return len(standing)


def apart_if_refused(
    transitions: Sequence[Transition], write: Callable[[Sequence[Transition]], int]
) -> int:
    """`write` all at once; if one is refused (its machine was deleted for good), one by one."""
    try:
        return write(transitions)
    except Exception as error:
        if isolation.is_down(error):
            raise
        if len(transitions) == 1:
            logger.exception("alert=%s: a change was refused", transitions[0].alert_id)
            return 0
    return sum(apart_if_refused([one], write) for one in transitions)


def close(alerts: Iterable[Alert]) -> int:
    """End open alerts that nothing watches any more, without a word; inside a transaction."""
    ids = [alert.pk for alert in alerts]
    gone, _ = Alert.objects.filter(pk__in=ids, state=AlertState.PENDING).delete()
    firing = Alert.objects.filter(pk__in=ids, state=AlertState.FIRING)
    ended = list(firing.values_list("pk", flat=True))
    firing.update(state=AlertState.RESOLVED, resolved_at=timezone.now())
    _publish_later(ended)
    return gone + len(ended)


def refresh(open_now: Sequence[Transition]) -> None:
    """Note the last reading of open alerts, for the pages and for whoever takes over."""
    rows = [
        Alert(pk=one.alert_id, seen_at=one.state.seen_at, value=_storable(one.state.value))
        for one in open_now
        if one.state is not None
    ]
    Alert.objects.bulk_update(rows, ["seen_at", "value"], batch_size=200)


def _in_rounds(
    transitions: Sequence[Transition],
) -> list[tuple[tuple[int, Event], Transition]]:
    """The first of each alert's changes, then the second, and so on; each round by kind.

    So what fires together is written and told together, and an alert ends before the next one about
    the same thing begins.
    """
    counts: Counter[Key] = Counter()
    found = []
    for one in transitions:
        counts[one.key] += 1
        found.append(((counts[one.key], one.event), one))
    return sorted(found, key=lambda pair: pair[0])


def _locked_rules(ids: Iterable[UUID]) -> dict[UUID, int]:
    """The revisions of the rules that still count; nobody changes them until we are done."""
    rows = AlertRule.objects.watching().filter(pk__in=ids).order_by("pk")
    return dict(rows.select_for_update(no_key=True).values_list("pk", "revision"))


def _write_group(event: Event, group: Sequence[Transition], teams: Mapping[UUID, UUID]) -> None:
    ids = [one.alert_id for one in group]
    if event is Event.WITHDRAWN:
        Alert.objects.filter(pk__in=ids, state=AlertState.PENDING).delete()
    elif event is Event.RESOLVED:
        _resolve(group)
    else:
        _upsert(event, group, teams)
        if event is Event.FIRED:
            fired = Alert.objects.filter(pk__in=ids).select_related(*notify.RELATED)
            notify.of_firing(list(fired.order_by("connection__name", "gpu")), timezone.now())
            _publish_later(ids)


def _upsert(event: Event, group: Sequence[Transition], teams: Mapping[UUID, UUID]) -> None:
    """Make the rows, or make them what they now are; a row keeps its id from pending on."""
    _close_strays(group)
    is_firing = event is Event.FIRED
    rows = [
        Alert(
            pk=one.alert_id,
            rule_id=one.key.rule_id,
            team_id=teams[one.key.rule_id],
            connection_id=one.key.connection_id,
            gpu=one.key.gpu,
            state=AlertState.FIRING if is_firing else AlertState.PENDING,
            value=_storable(one.state.value),
            started_at=one.state.started_at,
            seen_at=one.state.seen_at,
            fired_at=one.at if is_firing else None,
        )
        for one in group
        if one.state is not None
    ]
    Alert.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["state", "value", "started_at", "seen_at", "fired_at"],
    )


def _close_strays(group: Sequence[Transition]) -> None:
    """End open rows about the same thing that nobody follows any more.

    One is left when a machine leaves its rule and comes back before that was noticed.
    """
    own = {(one.key.rule_id, one.key.connection_id, one.key.gpu): one.alert_id for one in group}
    rows = Alert.objects.open().filter(
        rule_id__in={rule_id for rule_id, _, _ in own},
        connection_id__in={connection_id for _, connection_id, _ in own},
    )
    keys = ((row, own.get((row.rule_id, row.connection_id, row.gpu))) for row in rows)
    strays = [row for row, alert_id in keys if alert_id is not None and alert_id != row.pk]
    if strays:
        close(strays)


def _resolve(group: Sequence[Transition]) -> None:
    """Only what is still firing: an alert that somebody closed meanwhile is told of by nobody."""
    ended = []
    for one in group:
        firing = Alert.objects.filter(pk=one.alert_id, state=AlertState.FIRING)
        if firing.update(state=AlertState.RESOLVED, resolved_at=one.at):
            ended.append(one.alert_id)
    rows = Alert.objects.filter(pk__in=ended).select_related(*notify.RELATED)
    notify.of_end(list(rows.order_by("connection__name", "gpu")))
    _publish_later(ended)


def _publish_later(ids: Sequence[UUID]) -> None:
    def push() -> None:
        notify.publish(Alert.objects.filter(pk__in=ids))

    if ids:
        transaction.on_commit(push)


def _storable(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
