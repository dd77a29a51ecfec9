"""From what a person sends to a rule: what belongs together is checked here, for API and pages.

`Forbidden` and `NotFound` as everywhere; `Invalid` names the field.
"""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Role, Team
from accounts.policy import Caller, forbidden, may, roles_from, teams_with
from alerts.models import AlertRule
from alerts.quantities import MEMORY_LEFT, NOT_SEEN, QUANTITIES
from connections.models import Connection
from core.errors import Forbidden, Invalid, NotFound
from notifications.models import Channel

CREATE = "alert_rule.create"
# Named alike in a request and in a row.
_PLAIN = (
    "name",
    "metric",
    "comparison",
    "threshold",
    "for_seconds",
    "clear_margin",
    "gpu",
    "enabled",
    "snoozed_until",
)

Fields = dict[str, Any]


def new(caller: Caller, fields: Fields) -> tuple[AlertRule, list[Channel]]:
    """An unsaved rule and its channels. It belongs to the machine's team, the named one, or the
    caller's oldest.
    """
    machine = _machine(caller, fields.get("connection_id"))
    team = machine.team if machine else _team(caller, fields.get("team_id"))
    if not may(caller, CREATE, team):
        raise forbidden(CREATE)
    rule = AlertRule(team=team, created_by=caller.user)
    return rule, fill(caller, rule, fields) or []


def fill(caller: Caller, rule: AlertRule, fields: Fields) -> list[Channel] | None:
    """Take over what was sent; the channels, None if nothing was said of them."""
    for name in _PLAIN:
        if name in fields:
            setattr(rule, name, fields[name])
    if "and_" in fields:
        _second(rule, fields["and_"])
    if "connection_id" in fields:
        rule.connection = _machine(caller, fields["connection_id"])
    if "tag" in fields:
        rule.tag = fields["tag"] or ""
    if fields.get("team_id") not in (None, rule.team_id):
        raise Invalid.field("team_id", "The machine belongs to another team.")
    check(rule)
    return _channels(rule.team, fields["channel_ids"]) if "channel_ids" in fields else None


def check(rule: AlertRule) -> None:
    """What cannot be said field by field."""
    metrics = [name for name in (rule.metric, rule.and_metric) if name]
    if rule.connection is not None and rule.connection.team_id != rule.team_id:
        raise Invalid.field("connection_id", "The machine belongs to another team.")
    if rule.connection is not None and rule.tag:
        raise Invalid.field("tag", "Give a machine or a tag, not both.")
    if rule.gpu is not None and not any(QUANTITIES[name].is_per_gpu for name in metrics):
        raise Invalid.field("gpu", "This metric belongs to the machine, not to a GPU.")
    if NOT_SEEN in metrics and (len(metrics) > 1 or rule.comparison not in (">", ">=")):
        raise Invalid.field(
            "metric", f"{NOT_SEEN} stands alone, with > or >=: nothing else is known by then."
        )
    if rule.metric == MEMORY_LEFT and rule.comparison not in ("<", "<="):
        raise Invalid.field("comparison", f"{MEMORY_LEFT} is watched with < or <=.")
    if rule.and_metric == MEMORY_LEFT and rule.and_comparison not in ("<", "<="):
        raise Invalid.field("and", f"{MEMORY_LEFT} is watched with < or <=.")


def teams_to_write_for(caller: Caller) -> QuerySet[Team]:
    """Where the caller may make rules, the oldest first."""
    teams = Team.objects.order_by("created_at")
    if caller.user.is_superuser:
        return teams
    roles = roles_from(Role.OPERATOR)
    return teams.filter(memberships__user=caller.user, memberships__role__in=roles)


def _second(rule: AlertRule, condition: Fields | None) -> None:
    rule.and_metric = condition["metric"] if condition else ""
    rule.and_comparison = condition["comparison"] if condition else ""
    rule.and_threshold = condition["threshold"] if condition else None


def _machine(caller: Caller, connection_id: UUID | None) -> Connection | None:
    if connection_id is None:
        return None
    rows = Connection.objects.visible_to(caller.user).select_related("team")
    machine = rows.filter(pk=connection_id).first()
    if machine is None:
        raise Invalid.field("connection_id", "There is no such machine.")
    return machine


def _team(caller: Caller, team_id: UUID | None) -> Team:
    if team_id is None:
        team = teams_to_write_for(caller).first()
        if team is None:
            raise Forbidden("Only operators and administrators of a team make alert rules.")
        return team
    seen = Team.objects.filter(pk=team_id)
    if not caller.user.is_superuser:
        seen = seen.filter(memberships__user=caller.user)
    team = seen.first()
    if team is None:
        raise NotFound("There is no such team.")
    return team


def _channels(team: Team, ids: list[UUID]) -> list[Channel]:
    found = list(Channel.objects.filter(team=team, pk__in=ids))
    if len(found) != len(set(ids)):
        raise Invalid.field("channel_ids", "The team has no such channel.")
    return found


def visible_channels(caller: Caller) -> QuerySet[Channel]:
    """The channels of the caller's teams, to choose from by name; never their addresses."""
    rows = Channel.objects.filter(teams_with(caller.user, Role.OPERATOR))
    return rows.only("pk", "name", "team_id").order_by("name")
