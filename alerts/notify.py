"""Tell people that alerts fire and that they are over: notifications, and the live pages.

What fires together by one rule is told together: a rule about five hundred machines rings once.
A snoozed rule is silent; what still fires when the snooze ends is told then. An alert that nobody
has acknowledged is told again every `REPEAT`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F

from alerts import words
from alerts.models import Alert, AlertRule
from alerts.quantities import MEMORY_LEFT, NOT_SEEN
from alerts.serializers import alert_dict
from core import topics
from core.background import isolation
from notifications import events
from notifications.kinds import Severity

REPEAT = timedelta(hours=4)
_LISTED = 8
_CRITICAL = frozenset({MEMORY_LEFT, NOT_SEEN})
PAGE = "/alerts/"


def of_firing(alerts: Sequence[Alert], now: datetime) -> int:
    """Tell that these fire; how many were told. Called in the transaction that writes them."""
    told = 0
    for rule, group in _by_rule(alerts):
        if rule.is_snoozed:
            continue
        first = group[0]
        event = events.notify(
            rule.team,
            "alert_firing",
            _title(rule, group),
            _body(rule, group),
            link=PAGE,
            severity=Severity.CRITICAL if rule.metric in _CRITICAL else None,
            subject=first,
            data=_data(rule, group),
            dedupe_key=f"alert_firing:{first.pk}:{first.told}",
            channels=list(rule.channels.all()),
        )
        told += event is not None
        Alert.objects.filter(pk__in=[one.pk for one in group]).update(
            told_at=now, told=F("told") + 1
        )
    return told


def of_end(alerts: Sequence[Alert]) -> int:
    """Tell that these are over, as far as anybody was told that they fire; how many were told."""
    told = 0
    for rule, group in _by_rule([one for one in alerts if one.told_at is not None]):
        if rule.is_snoozed:
            continue
        event = events.notify(
            rule.team,
            "alert_resolved",
            f"{rule.name}: {_where(group)} is well again",
            _listed(one.place for one in group) if len(group) > 1 else words.sentence(rule),
            link=PAGE,
            subject=group[0],
            data=_data(rule, group),
            dedupe_key=f"alert_resolved:{group[0].pk}",
            channels=list(rule.channels.all()),
        )
        told += event is not None
    return told


def _data(rule: AlertRule, group: Sequence[Alert]) -> dict[str, Any]:
    return {
        "rule": {"id": str(rule.pk), "name": rule.name},
        "alerts": [alert_dict(one) for one in group[:_LISTED]],
        "alert_count": len(group),
    }


def again(now: datetime) -> int:
    """Tell of what fires on and nobody attends to; how many notifications were sent."""
    with transaction.atomic():
        rows = Alert.objects.due(now - REPEAT).select_for_update(of=("self",), skip_locked=True)
        told: list[int] = []
        isolation.each(
            _by_rule(list(rows.select_related(*RELATED))),
            lambda one: told.append(of_firing(one[1], now)),
            name="telling again of rule",
            key=lambda one: one[0].pk,
        )
        return sum(told)


# What the words and the API's objects need of an alert.
RELATED = ("rule__team", "rule__connection", "connection")


def publish(alerts: Iterable[Alert]) -> None:
    """Show the alerts, as they now are, to who watches their machines."""
    by_team: dict[object, list[topics.Item]] = defaultdict(list)
    for alert in alerts:
        topic = topics.connection_topic(alert.connection_id)
        item = topics.Item(topic, "alert", orjson.dumps(alert_dict(alert)))
        by_team[alert.team_id].append(item)
    for team_id, items in by_team.items():
        topics.publish(team_id, items)  # type: ignore[arg-type]


def _by_rule(alerts: Sequence[Alert]) -> list[tuple[AlertRule, list[Alert]]]:
    groups: dict[object, list[Alert]] = defaultdict(list)
    for alert in alerts:
        groups[alert.rule_id].append(alert)
    return [(group[0].rule, group) for group in groups.values()]


def _where(group: Sequence[Alert]) -> str:
    return group[0].place if len(group) == 1 else f"{len(group)} places"


def _title(rule: AlertRule, group: Sequence[Alert]) -> str:
    if len(group) == 1:
        return f"{group[0].place}: {words.reading(group[0])}"
    return f"{rule.name}: {_where(group)}"


def _body(rule: AlertRule, group: Sequence[Alert]) -> str:
    sentence = f"{rule.name}. {words.sentence(rule)}."
    if len(group) == 1:
        return sentence
    return f"{sentence}\n{_listed(f'{one.place}: {words.reading(one)}' for one in group)}"


def _listed(lines: Iterable[str]) -> str:
    every = list(lines)
    rest = len(every) - _LISTED
    return "\n".join([*every[:_LISTED], *([f"and {rest} more"] if rest > 0 else [])])
