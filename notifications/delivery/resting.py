"""A channel that fails again and again rests: what waits for it is not tried one by one.

After `TOLERATED` failures in a row nothing is tried until the rest is over; then one delivery is,
and what became of it counts for all that wait.
"""

from datetime import datetime, timedelta

from django.db.models import F

from notifications.models import Channel, Delivery, DeliveryStatus

TOLERATED = 2
# The rests after each further failure; the last one for all that follow.
REST_SECONDS = (30.0, 120.0, 600.0)
TOO_OLD = "The channel did not deliver for hours."


def note_success(channel: Channel) -> None:
    """It works: whatever waits may go."""
    Channel.objects.filter(pk=channel.pk, failures__gt=0).update(failures=0, rests_until=None)


def note_failure(channel: Channel, now: datetime) -> None:
    """One more failure in a row that another try may mend."""
    Channel.objects.filter(pk=channel.pk).update(failures=F("failures") + 1)
    channel.refresh_from_db(fields=["failures"])
    if channel.failures > TOLERATED:
        place = min(channel.failures - TOLERATED, len(REST_SECONDS)) - 1
        until = now + timedelta(seconds=REST_SECONDS[place])
        Channel.objects.filter(pk=channel.pk).update(rests_until=until)


def give_up_old(channel: Channel, now: datetime, patience: timedelta) -> int:
    """Fail what has waited longer than its own tries would have taken; how many."""
    rows = Delivery.objects.filter(channel=channel, status=DeliveryStatus.PENDING)
    old = rows.filter(event__created_at__lt=now - patience)
    return old.update(status=DeliveryStatus.FAILED, detail=TOO_OLD, finished_at=now)
