"""Rules and alerts as other programs see them: the API and the socket."""

from typing import Any

from alerts.models import Alert, AlertRule
from core.times import iso


def rule_dict(rule: AlertRule) -> dict[str, Any]:
    """Needs `prefetch_related("channels")` to ask no further query per row."""
    second = None
    if rule.and_metric:
        second = {
            "metric": rule.and_metric,
            "comparison": rule.and_comparison,
            "threshold": rule.and_threshold,
        }
    return {
        "id": str(rule.pk),
        "team_id": str(rule.team_id),
        "name": rule.name,
        "metric": rule.metric,
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "for_seconds": rule.for_seconds,
        "clear_margin": rule.clear_margin,
        "and": second,
        "connection_id": _text(rule.connection_id),
        "tag": rule.tag or None,
        "gpu": rule.gpu,
        "channel_ids": [str(channel.pk) for channel in rule.channels.all()],
        "enabled": rule.enabled,
        "snoozed_until": iso(rule.snoozed_until),
        "created_at": iso(rule.created_at),
        "updated_at": iso(rule.updated_at),
    }


def alert_dict(alert: Alert) -> dict[str, Any]:
    """No query beyond the row's own."""
    return {
        "id": str(alert.pk),
        "rule_id": str(alert.rule_id),
        "connection_id": str(alert.connection_id),
        "gpu": alert.gpu,
        "state": alert.state,
        "value": alert.value,
        "started_at": iso(alert.started_at),
        "fired_at": iso(alert.fired_at),
        "resolved_at": iso(alert.resolved_at),
        "acknowledged_at": iso(alert.acknowledged_at),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
