"""The queue of deliveries: claim a row, leave the database, send, write down what became of it.

A claim is a conditional update with an end. A worker that dies loses its claim by time and the row
is sent again; the id of the event goes with every copy, so that a receiver can drop the second.
Two copies need a death between sending and recording; nothing else makes one.
"""

import logging
import time
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Membership
from dgxsite import cleaner
from dgxsite.crypto import SecretUnreadable
from notifications import apprise_door, mails, webhooks
from notifications.events import notify
from notifications.models import Attempt, Channel, ChannelKind, Delivery, DeliveryStatus, Event
from notifications.outcome import Outcome

logger = logging.getLogger(__name__)

# Longer than any sending may take; a dead worker's rows wait for as long.
CLAIM_SECONDS = 120.0
# The wait after each failed try; after the last of them the delivery has failed.
RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 3600.0, 10_800.0)
RUN_SECONDS = 50.0
LONGEST_DETAIL = 300

_SENDERS = {ChannelKind.APPRISE: apprise_door.send, ChannelKind.WEBHOOK: webhooks.send}


def run(seconds: float = RUN_SECONDS) -> int:
    """Send what is due, one after the other, for at most `seconds`; how many were tried."""
    began, tried = time.monotonic(), 0
    while time.monotonic() - began < seconds and (row := claim(timezone.now())) is not None:
        work(row)
        tried += 1
    return tried


def claim(now: datetime) -> Delivery | None:
    """The next delivery that is due, or whose worker died; nobody else has it until the claim
    ends."""
    waiting = Q(status=DeliveryStatus.PENDING, due_at__lte=now)
    abandoned = Q(status=DeliveryStatus.SENDING, claimed_until__lt=now)
    with transaction.atomic():
        rows = Delivery.objects.select_for_update(skip_locked=True, of=("self",))
        _give_up(rows.filter(abandoned, attempts__gt=len(RETRY_SECONDS)))
        row = rows.filter(waiting | abandoned).order_by("due_at", "pk").first()
        if row is None:
            return None
        row.status = DeliveryStatus.SENDING
        row.claim, row.claimed_until = uuid.uuid4(), now + timedelta(seconds=CLAIM_SECONDS)
        row.attempts += 1  # counted before the try: one that kills its worker ends, too
        row.save(update_fields=["status", "claim", "claimed_until", "attempts"])
    return row


def work(row: Delivery) -> None:
    """Send a claimed delivery and write down what became of it."""
    began = time.monotonic()
    if not _is_wanted(row):
        _finish(row, DeliveryStatus.DROPPED, "The recipient no longer belongs to the team.")
        return
    try:
        outcome = _send(row)
    except Exception:  # whatever a sender raises, the row must not stay claimed
        logger.exception("delivery=%s event=%s failed", row.pk, row.event_id)
        outcome = Outcome.failed("Something went wrong; the log of the site says more.")
    _record(row, outcome, duration_ms=round(1000 * (time.monotonic() - began)))


def through_channel(channel: Channel, event: Event) -> Outcome:
    """Send to a channel now; used by deliveries and by the test."""
    try:
        return _SENDERS[ChannelKind(channel.kind)](channel, event)
    except SecretUnreadable:
        return Outcome.refused("The stored address cannot be read with the keys of the site.")


def _send(row: Delivery) -> Outcome:
    if row.channel is not None:
        return through_channel(row.channel, row.event)
    assert row.user is not None
    return mails.send(row.user, row.event)


def _is_wanted(row: Delivery) -> bool:
    """A person who has left the team or lost the login since is told nothing."""
    if row.user is None:
        return True
    member = Membership.objects.filter(team=row.event.team_id, user=row.user).exists()
    return row.user.is_active and (member or row.user.is_superuser)


def _record(row: Delivery, outcome: Outcome, *, duration_ms: int) -> None:
    """Only under the claim it was sent with: who was slower than that is not asked."""
    Attempt.objects.create(
        delivery=row,
        ok=outcome.ok,
        detail=cleaner.line(outcome.detail, LONGEST_DETAIL),
        duration_ms=duration_ms,
    )
    if outcome.ok:
        _finish(row, DeliveryStatus.SENT, outcome.detail)
    elif outcome.is_final or row.attempts > len(RETRY_SECONDS):
        logger.warning("delivery=%s event=%s given up: %s", row.pk, row.event_id, outcome.detail)
        if _finish(row, DeliveryStatus.FAILED, outcome.detail) and row.channel is not None:
            _tell_administrators(row.channel, outcome.detail)
    else:
        wait = timedelta(seconds=RETRY_SECONDS[row.attempts - 1])
        _release(row, timezone.now() + wait, outcome.detail)


def _give_up(rows: QuerySet[Delivery]) -> None:
    """One whose every try ended with the death of a worker is not given to another."""
    for row in rows:
        logger.error("delivery=%s event=%s given up: its workers died", row.pk, row.event_id)
        _finish(row, DeliveryStatus.FAILED, "The sending was interrupted each time.")


def _finish(row: Delivery, status: DeliveryStatus, detail: str) -> bool:
    changed = Delivery.objects.filter(pk=row.pk, claim=row.claim).update(
        status=status,
        detail=cleaner.line(detail, LONGEST_DETAIL),
        finished_at=timezone.now(),
        claim=None,
        claimed_until=None,
    )
    return changed == 1


def _release(row: Delivery, due_at: datetime, detail: str) -> None:
    Delivery.objects.filter(pk=row.pk, claim=row.claim).update(
        status=DeliveryStatus.PENDING,
        detail=cleaner.line(detail, LONGEST_DETAIL),
        due_at=due_at,
        claim=None,
        claimed_until=None,
    )


def _tell_administrators(channel: Channel, detail: str) -> None:
    """Once a day for each channel, or a broken one would fill the list."""
    notify(
        channel.team,
        "channel_failed",
        f"The channel “{channel.name}” does not deliver",
        detail,
        link="/notifications/channels",
        subject=channel,
        dedupe_key=f"channel_failed:{channel.pk}:{timezone.now():%Y-%m-%d}",
    )
