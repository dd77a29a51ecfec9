"""Events are news, not history: after three months they are dropped with all that hangs on them."""

from datetime import timedelta

from django.utils import timezone

from notifications.models import Event

KEPT = timedelta(days=90)


def forget_old() -> int:
    """How many events were dropped."""
    _, by_model = Event.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return by_model.get(Event._meta.label, 0)
