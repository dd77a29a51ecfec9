"""Alerts as bands behind the charts: when what fired, of one machine."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from alerts import words
from alerts.models import Alert
from metrics.annotations import MOST, Mark


def of_alerts(connection_id: UUID, start: datetime, end: datetime) -> Iterable[Mark]:
    """The alerts that fired in the window, the newest first; what only pended is left out."""
    rows = Alert.objects.filter(connection_id=connection_id, fired_at__lt=end)
    touching = rows.filter(Q(resolved_at__isnull=True) | Q(resolved_at__gt=start))
    for alert in touching.select_related("rule", "connection").order_by("-fired_at")[:MOST]:
        assert alert.fired_at is not None
        yield Mark(
            kind="alert",
            label=f"{alert.rule.name}: {words.reading(alert)}",
            start=alert.fired_at,
            end=alert.resolved_at,
            tone="critical",
            gpu=alert.gpu,
            link="/alerts/",
        )
