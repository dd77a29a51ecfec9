"""Which rules are about which machines: read once, and again when something has changed.

Asking whether anything has changed takes two small queries; every keeper does so every two seconds,
so that a changed rule counts within four.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, Max

from alerts.engine import Watched
from alerts.models import AlertRule
from alerts.quantities import MEMORY_LEFT, NOT_SEEN
from connections.models import Connection
from core.background import isolation


@dataclass(frozen=True, slots=True)
class Plan:
    """`rules` of each machine; `stamp` is what they were read at."""

    stamp: tuple[Any, ...] = ()
    rules: Mapping[UUID, Sequence[Watched]] = field(default_factory=dict)

    def guards(self, connection_id: UUID) -> bool:
        """Whether a rule asks how long this machine's memory lasts."""
        return any(
            MEMORY_LEFT in (rule.metric, rule.other) for rule in self.rules.get(connection_id, ())
        )


def refreshed(plan: Plan, held: Collection[UUID]) -> Plan:
    """The plan as it now is; the same object if nothing has changed."""
    stamp = _stamp(held)
    return plan if stamp == plan.stamp else Plan(stamp, _read(held))


def _stamp(held: Collection[UUID]) -> tuple[Any, ...]:
    rules = AlertRule.objects.aggregate(count=Count("pk"), last=Max("updated_at"))
    machines = Connection.objects.filter(pk__in=held).aggregate(
        count=Count("pk"), last=Max("updated_at")
    )
    return (*rules.values(), *machines.values(), frozenset(held))


def _read(held: Collection[UUID]) -> Mapping[UUID, Sequence[Watched]]:
    by_team: dict[UUID, list[AlertRule]] = defaultdict(list)
    for rule in AlertRule.objects.watching().exclude(metric=NOT_SEEN):
        by_team[rule.team_id].append(rule)
    watched: dict[UUID, Watched] = {}
    isolation.each(
        [rule for rules in by_team.values() for rule in rules],
        lambda rule: watched.setdefault(rule.pk, Watched.of(rule)),
        name="reading alert rule",
    )
    machines = Connection.objects.filter(pk__in=held).only("pk", "team_id", "tags")
    return {
        machine.pk: [
            watched[rule.pk]
            for rule in by_team[machine.team_id]
            if rule.pk in watched and rule.covers(machine)
        ]
        for machine in machines
    }
