"""What people do with rules and alerts: called alike by pages, the API and the admin.

An operator changes the rules that they made, an administrator all of the team's. Each action locks
its row, asks the right, and writes the audit row and the columns that change in one transaction, so
that nothing undoes what somebody else did just before. What a rule's change makes void – its open
alerts – is closed in the same one, without a word to anybody.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Role
from accounts.policy import Caller, may, one, one_locked, role_in, teams_with
from alerts import inputs, notify, transitions
from alerts.models import Alert, AlertQuerySet, AlertRule
from core.errors import Forbidden, Invalid, NotFound
from core.soft_delete import TrashQuerySet
from notifications.models import Channel

CHANGE = "alert_rule.change"
ACKNOWLEDGE = "alert.acknowledge"
LONGEST_SNOOZE = timedelta(days=30)
# What a change may write, besides the revision and what follows from these.
_COLUMNS = ("name", "snoozed_until", *AlertRule.TEST_FIELDS)


def rules(caller: Caller) -> QuerySet[AlertRule]:
    """The rules of the caller's teams, by name, ready to be shown."""
    rows = AlertRule.objects.visible_to(caller.user).select_related("team", "connection")
    return rows.prefetch_related("channels").order_by("name", "pk")


def find_rule(caller: Caller, rule_id: UUID, action: str = "alert_rule.view") -> AlertRule:
    """One rule for one action."""
    rule = one(caller, rules(caller), rule_id, action)
    return _own(caller, rule) if action == CHANGE else rule


def may_change(caller: Caller, rule: AlertRule) -> bool:
    """Whether the rule is the caller's own, or the caller administers its team."""
    is_own = rule.created_by_id == caller.user.pk
    administers = role_in(caller.user, rule.team) == Role.ADMINISTRATOR
    return may(caller, CHANGE, rule.team) and (is_own or administers)


def create(caller: Caller, fields: inputs.Fields) -> AlertRule:
    return add(caller, *inputs.new(caller, fields))


def add(caller: Caller, rule: AlertRule, channels: list[Channel]) -> AlertRule:
    """Store what `inputs.new` made."""
    with transaction.atomic():
        audit.record(caller, "alert_rule.create", rule)
        rule.save(force_insert=True)
        rule.channels.set(channels)
    return rule


def change(caller: Caller, rule_id: UUID, fields: inputs.Fields) -> AlertRule:
    """Change what was sent; what is tested begins anew if that has changed."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        rule = _own(caller, one_locked(caller, rules(caller), rule_id, CHANGE))
        before = _columns(rule)
        channels = inputs.fill(caller, rule, fields)
        changed = [name for name, value in _columns(rule).items() if value != before[name]]
        audit.record(caller, CHANGE, rule, fields=sorted(name.rstrip("_") for name in fields))
        if set(changed) & set(AlertRule.TEST_FIELDS):
            begin_anew(rule)
        rule.save(update_fields=[*changed, "updated_at"])
        if channels is not None:
            rule.channels.set(channels)
    return find_rule(caller, rule_id)


def snooze(caller: Caller, rule_id: UUID, until: datetime | None) -> AlertRule:
    """Be silent until then, at most 30 days; None ends it."""
    if until is not None and until > timezone.now() + LONGEST_SNOOZE:
        raise Invalid.field("snoozed_until", "At most 30 days.")
    return change(caller, rule_id, {"snoozed_until": until})


def delete(caller: Caller, rule_id: UUID) -> AlertRule:
    """Into the trash for 30 days."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        rule = _own(caller, one_locked(caller, rules(caller), rule_id, CHANGE))
        audit.record(caller, "alert_rule.delete", rule)
        begin_anew(rule)
        rule.move_to_trash()
    return rule


def restore(caller: Caller, rule_id: UUID) -> AlertRule:
    """Out of the trash, as it was."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        rule = _own(caller, one_locked(caller, in_trash(caller), rule_id, CHANGE))
        audit.record(caller, "alert_rule.restore", rule)
        rule.take_from_trash()
    return find_rule(caller, rule_id)


def in_trash(caller: Caller) -> TrashQuerySet[AlertRule]:
    """The deleted rules of the caller's teams that can come back, the newest first."""
    rows = AlertRule.objects.in_trash().filter(teams_with(caller.user, Role.VIEWER))
    return rows.select_related("team", "connection").order_by("-deleted_at")


def alerts(caller: Caller) -> AlertQuerySet:
    """The alerts of the caller's teams, the newest first."""
    return Alert.objects.visible_to(caller.user).order_by("-started_at", "pk")


def acknowledge(caller: Caller, alert_id: UUID) -> Alert:
    """Say that somebody knows: it is not told again. Acknowledging twice changes nothing."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        rows = alerts(caller).select_related(*notify.RELATED)
        row = one_locked(caller, rows, alert_id, ACKNOWLEDGE)
        if row.acknowledged_at is not None:
            return row
        audit.record(caller, ACKNOWLEDGE, row, team=row.team)
        row.acknowledged_at, row.acknowledged_by = timezone.now(), caller.user
        row.save(update_fields=["acknowledged_at", "acknowledged_by"])
        transaction.on_commit(lambda: notify.publish([row]))
    return row


def begin_anew(rule: AlertRule) -> None:
    """Keepers drop the state that they have, and what is open ends here; `NotFound` if it is gone.

    Part of a transaction that has taken the audit's turn.
    """
    if not AlertRule.objects.filter(pk=rule.pk).update(revision=F("revision") + 1):
        raise NotFound
    rule.refresh_from_db(fields=["revision"])
    transitions.close(rule.alerts.open())


def _own(caller: Caller, rule: AlertRule) -> AlertRule:
    """The rule, whose change the policy allows; `Forbidden` to operators who did not make it."""
    if not may_change(caller, rule):
        raise Forbidden("An operator changes own rules; this one is somebody else's.")
    return rule


def _columns(rule: AlertRule) -> dict[str, object]:
    return {name: getattr(rule, name) for name in _COLUMNS}
