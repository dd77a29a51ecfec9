"""What is kept no longer: deleted rules after 30 days, alerts that ended more than a year ago."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from alerts.models import Alert, AlertRule, AlertState

RULES = timedelta(days=30)
ALERTS = timedelta(days=400)


def empty(now: datetime) -> int:
    """Remove for good; how many rules went."""
    Alert.objects.filter(state=AlertState.RESOLVED, resolved_at__lt=now - ALERTS).delete()
    rules = list(AlertRule.objects.filter(deleted_at__lt=now - RULES))
    for rule in rules:
        with transaction.atomic():
            audit.record(None, "alert_rule.purge", rule)
            rule.delete()
    return len(rules)
