"""One delivery: send a claimed row, and write down what became of it.

A claim is a conditional update with an end (`claiming`). A worker that dies loses its claim by time
and the row is sent again; the id of the event goes with every copy, so that a receiver can drop the
second. Two copies need a death between sending and recording; nothing else makes one.
"""

import logging
import time
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Membership
from core import cleaner
from core.background import isolation
from core.security.crypto import SecretUnreadable
from notifications.channels import apprise_door, mails, webhooks
from notifications.channels.outcome import Outcome
from notifications.delivery import claiming, resting
from notifications.delivery.claiming import CLAIM_SECONDS
from notifications.events import notify
from notifications.models import Attempt, Channel, ChannelKind, Delivery, DeliveryStatus, Event

logger = logging.getLogger(__name__)

__all__ = ["CLAIM_SECONDS", "claim", "run", "work"]

# The wait after each failed try; after the last of them the delivery has failed.
RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 3600.0, 10_800.0)
# As long as all tries of one take together.
PATIENCE = timedelta(seconds=sum(RETRY_SECONDS))
BROKEN = Outcome.failed("Something went wrong; the log of the site says more.")
LONGEST_DETAIL = 300

_SENDERS = {ChannelKind.APPRISE: apprise_door.send, ChannelKind.WEBHOOK: webhooks.send}


def run() -> int:
    """Send what is due, one after the other, on this thread; how many were tried."""
    tried = 0
    while (row := claim(timezone.now())) is not None:
        isolation.each([row], work, name="sending delivery", rests=False)
        tried += 1
    return tried


def claim(now: datetime) -> Delivery | None:
    """The next delivery that may go out, claimed; see `claiming`."""
    _give_up(now)
    return claiming.claim(now, most_tries=len(RETRY_SECONDS) + 1)


def work(row: Delivery) -> None:
    """Send a claimed delivery and write down what became of it."""
    if not is_wanted(row):
        return
    began = time.monotonic()
    outcome = send(row)
    record(row, outcome, duration_ms=round(1000 * (time.monotonic() - began)))


def is_wanted(row: Delivery) -> bool:
    """Whether it is still to be sent. Who has left the team or lost the login is told nothing."""
    if row.user is None:
        return True
    member = Membership.objects.filter(team=row.event.team_id, user=row.user).exists()
    if row.user.is_active and (member or row.user.is_superuser):
        return True
    _finish(row, DeliveryStatus.DROPPED, "The recipient no longer belongs to the team.")
    return False


def send(row: Delivery) -> Outcome:
    """One try; asks nothing of the database and never raises an `Exception`."""
    try:
        if row.channel is not None:
            return through_channel(row.channel, row.event)
        assert row.user is not None
        return mails.send(row.user, row.event)
    except Exception:  # whatever a sender raises, the row must not stay claimed
        logger.exception("delivery=%s event=%s failed", row.pk, row.event_id)
        return BROKEN


def through_channel(channel: Channel, event: Event) -> Outcome:
    """Send to a channel now; used by deliveries and by the test."""
    try:
        return _SENDERS[ChannelKind(channel.kind)](channel, event)
    except SecretUnreadable:
        return Outcome.refused("The stored address cannot be read with the keys of the site.")


def record(row: Delivery, outcome: Outcome, *, duration_ms: int) -> None:
    """Only under the claim it was sent with: who was slower than that is not asked."""
    detail = cleaner.line(outcome.detail, LONGEST_DETAIL)
    Attempt.objects.create(delivery=row, ok=outcome.ok, detail=detail, duration_ms=duration_ms)
    if outcome.ok:
        _finish(row, DeliveryStatus.SENT, detail)
    elif outcome.is_final or row.attempts > len(RETRY_SECONDS):
        logger.warning("delivery=%s event=%s given up: %s", row.pk, row.event_id, detail)
        if _finish(row, DeliveryStatus.FAILED, detail) and row.channel is not None:
            _tell_administrators(row.channel, detail)
    else:
        wait = timedelta(seconds=RETRY_SECONDS[row.attempts - 1])
        _release(row, timezone.now() + wait, detail)
    if row.channel is not None:
        _note(row.channel, outcome)


def _note(channel: Channel, outcome: Outcome) -> None:
    """What this try says of the channel; that a receiver refuses one message says nothing."""
    if outcome.ok:
        resting.note_success(channel)
    elif not outcome.is_final:
        now = timezone.now()
        resting.note_failure(channel, now)
        if resting.give_up_old(channel, now, PATIENCE):
            _tell_administrators(channel, outcome.detail)


def _give_up(now: datetime) -> None:
    """One whose every try ended with the death of a worker is not given to another."""
    rows = Delivery.objects.filter(claiming.abandoned(now), attempts__gt=len(RETRY_SECONDS))
    isolation.each(rows, _give_up_one, name="giving up delivery")


def _give_up_one(row: Delivery) -> None:
    logger.error("delivery=%s event=%s given up: its workers died", row.pk, row.event_id)
    _finish(row, DeliveryStatus.FAILED, "The sending was interrupted each time.")


def _finish(row: Delivery, status: DeliveryStatus, detail: str) -> bool:
    changed = Delivery.objects.filter(pk=row.pk, claim=row.claim).update(
        status=status,
        detail=detail,
        finished_at=timezone.now(),
        claim=None,
        claimed_until=None,
    )
    return changed == 1


def _release(row: Delivery, due_at: datetime, detail: str) -> None:
    Delivery.objects.filter(pk=row.pk, claim=row.claim).update(
        status=DeliveryStatus.PENDING,
        detail=detail,
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
