"""What the Alerts page shows: lines of what fires, of rules and of history, as plain data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from accounts.models import Membership, Role
from accounts.policy import Caller
from alerts import estimates, guard, notify, services, words
from alerts.models import Alert, AlertRule, AlertState
from alerts.suggestions import SUGGESTIONS, Suggestion
from notifications.models import Delivery, DeliveryStatus

_MOST_DELETED = 50


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert: what it says, and whether this person may acknowledge it."""

    alert: Alert
    reading: str
    may_act: bool


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule: its sentence, how many of its alerts fire, and channels that fail."""

    rule: AlertRule
    sentence: str
    may_change: bool
    broken: Sequence[str]

    @property
    def firing(self) -> int:
        count: int = getattr(self.rule, "firing", 0)
        return count


Roles = Mapping[UUID, str]


def roles(caller: Caller, teams: Iterable[UUID]) -> Roles:
    """The person's role in each team, in one query."""
    if caller.user.is_superuser:
        return dict.fromkeys(teams, Role.ADMINISTRATOR)
    return dict(Membership.objects.filter(user=caller.user).values_list("team_id", "role"))


def active(caller: Caller, narrowed: Q) -> list[AlertLine]:
    """What fires, then what pends, the newest first."""
    rows = services.alerts(caller).open().filter(narrowed).select_related(*notify.RELATED)
    return _lines(caller, rows.order_by("state", "-started_at"))


def of_machine(caller: Caller, connection_id: UUID) -> list[AlertLine]:
    """What fires on one machine."""
    rows = services.alerts(caller).firing().filter(connection_id=connection_id)
    return _lines(caller, rows.select_related(*notify.RELATED))


def machine_context(caller: Caller, connection_id: UUID) -> dict[str, Any]:
    """What fires on the machine, and how long its memory lasts if that is in sight."""
    left = estimates.of(connection_id)
    return {
        "machine_id": connection_id,
        "lines": of_machine(caller, connection_id),
        "memory_left": guard.words(left) if left is not None else "",
    }


def past(caller: Caller, narrowed: Q) -> QuerySet[Alert]:
    """What is over, to be paged; see `lines_of`."""
    rows = services.alerts(caller).filter(narrowed, state=AlertState.RESOLVED)
    return rows.select_related(*notify.RELATED)


def lines_of(alerts: Iterable[Alert]) -> list[AlertLine]:
    """Lines on which nothing is to be done."""
    return [AlertLine(alert, words.reading(alert), may_act=False) for alert in alerts]


def rules(caller: Caller, narrowed: Q) -> QuerySet[AlertRule]:
    """The rules, to be paged, each with the number of its alerts that fire."""
    counted = Count("alerts", filter=Q(alerts__state=AlertState.FIRING))
    return services.rules(caller).filter(narrowed).annotate(firing=counted)


def rule_lines(caller: Caller, rows: Sequence[AlertRule]) -> list[RuleLine]:
    known = roles(caller, {rule.team_id for rule in rows})
    broken = _broken_channels(rows)
    return [
        RuleLine(
            rule,
            words.sentence(rule),
            _may_change(caller, rule, known),
            [c.name for c in rule.channels.all() if c.pk in broken],
        )
        for rule in rows
    ]


def restorable(caller: Caller) -> list[AlertRule]:
    """The deleted rules that the person may bring back."""
    rows = list(services.in_trash(caller)[:_MOST_DELETED])
    known = roles(caller, {rule.team_id for rule in rows})
    return [rule for rule in rows if _may_change(caller, rule, known)]


def suggestions(caller: Caller, narrowed: Q) -> list[Suggestion]:
    """Those that no rule resembles yet."""
    rows = AlertRule.objects.visible_to(caller.user).filter(narrowed)
    there = set(rows.values_list("metric", "and_metric"))
    return [one for one in SUGGESTIONS if _tested(one) not in there]


def _lines(caller: Caller, rows: Iterable[Alert]) -> list[AlertLine]:
    alerts = list(rows)
    known = roles(caller, {alert.team_id for alert in alerts}) if alerts else {}
    return [
        AlertLine(alert, words.reading(alert), _may_operate(known.get(alert.team_id)))
        for alert in alerts
    ]


def _may_operate(role: str | None) -> bool:
    return role in (Role.OPERATOR, Role.ADMINISTRATOR)


def _may_change(caller: Caller, rule: AlertRule, known: Roles) -> bool:
    """As `services.may_change`, from roles that are already known."""
    role = known.get(rule.team_id)
    is_own = rule.created_by_id == caller.user.pk
    return role == Role.ADMINISTRATOR or (_may_operate(role) and is_own)


def _broken_channels(rows: Sequence[AlertRule]) -> set[Any]:
    """Channels of these rules whose last delivery failed."""
    ids = {channel.pk for rule in rows for channel in rule.channels.all()}
    if not ids:
        return set()
    last = Delivery.objects.filter(channel_id__in=ids, finished_at__isnull=False)
    newest = last.order_by("channel_id", "-finished_at").distinct("channel_id")
    ended = newest.values_list("channel_id", "status")
    return {channel for channel, status in ended if status == DeliveryStatus.FAILED}


def _tested(suggestion: Suggestion) -> tuple[str, str]:
    second = suggestion.fields.get("and_") or {}
    return suggestion.fields["metric"], second.get("metric", "")
