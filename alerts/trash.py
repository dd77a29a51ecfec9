"""What is kept no longer: deleted rules after 30 days, alerts that ended more than a year ago."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from alerts.models import Alert, AlertRule, AlertState
from core.background import isolation

ALERTS = timedelta(days=400)


def empty(now: datetime) -> int:
    """Remove for good; how many rules went."""
    Alert.objects.filter(state=AlertState.RESOLVED, resolved_at__lt=now - ALERTS).delete()
    rules = list(AlertRule.objects.expired(now))
    return isolation.each(rules, _remove, name="removing alert rule")


@transaction.atomic
def _remove(rule: AlertRule) -> bool:
    audit.record(None, "alert_rule.purge", rule)
    return bool(rule.delete()[0])
