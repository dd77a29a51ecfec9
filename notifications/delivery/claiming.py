"""Which delivery is next: one at a time for each channel, and no team before all others.

A claim has an end: a worker that dies loses it by time. Claims are made one after the other, under
a lock of the whole site, so that what is counted here is true in every worker.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from core.background import claims
from notifications.models import ChannelKind, Delivery, DeliveryStatus

_TURN = 1684500839
# Longer than any sending may take; a dead worker's rows wait at most as long.
CLAIM_SECONDS = 120.0
EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Lane:
    """A way out of the site: how many deliveries take it at once, and how many of one team."""

    at_once: int
    per_team: int
    claim_seconds: float


# A chat service costs a process each. The mail server is one for all, so that one that hangs holds
# up mails and nothing else.
LANES: dict[str, Lane] = {
    EMAIL: Lane(at_once=4, per_team=2, claim_seconds=CLAIM_SECONDS),
    ChannelKind.APPRISE: Lane(at_once=4, per_team=2, claim_seconds=60.0),
    ChannelKind.WEBHOOK: Lane(at_once=8, per_team=4, claim_seconds=45.0),
}


class _Busy(NamedTuple):
    """One delivery that is being sent."""

    channel: UUID | None
    way: str
    team: UUID


def claim(now: datetime, most_tries: int) -> Delivery | None:
    """The next delivery, with all that sending needs; None if nothing may go out now.

    Nobody else has it until the claim ends, nor another one of its channel.
    """
    with transaction.atomic():
        claims.take_turn(_TURN)
        rows = Delivery.objects.select_for_update(skip_locked=True, of=("self",))
        rows = rows.select_related("event__team", "channel", "user")
        row = _next(rows.filter(attempts__lt=most_tries), now)
        if row is None:
            return None
        seconds = LANES[way_of(row)].claim_seconds
        row.status = DeliveryStatus.SENDING
        row.claim, row.claimed_until = uuid.uuid4(), now + timedelta(seconds=seconds)
        row.attempts += 1  # counted before the try: one that kills its worker ends, too
        row.save(update_fields=["status", "claim", "claimed_until", "attempts"])
    return row


def abandoned(now: datetime) -> Q:
    """What a worker had claimed that died."""
    return Q(status=DeliveryStatus.SENDING, claimed_until__lt=now)


def way_of(row: Delivery) -> str:
    return EMAIL if row.channel is None else row.channel.kind


def _next(rows: QuerySet[Delivery], now: datetime) -> Delivery | None:
    busy = _busy(now)
    due = Q(status=DeliveryStatus.PENDING, due_at__lte=now) | abandoned(now)
    rows = rows.filter(due).exclude(channel__rests_until__gt=now)
    rows = rows.exclude(channel_id__in={one.channel for one in busy if one.channel})
    for is_full in _full(busy):
        rows = rows.exclude(is_full)
    turns = claims.fewest_first("event__team_id", (one.team for one in busy))
    return rows.order_by(*turns, "due_at", "pk").first()


def _busy(now: datetime) -> list[_Busy]:
    living = Delivery.objects.filter(status=DeliveryStatus.SENDING, claimed_until__gte=now)
    found = living.values_list("channel_id", "channel__kind", "event__team_id")
    return [_Busy(channel, kind or EMAIL, team) for channel, kind, team in found]


def _full(busy: Iterable[_Busy]) -> list[Q]:
    """Rows for which there is no place in their lane, or in their team's part of it."""
    lanes = Counter(one.way for one in busy)
    parts = Counter((one.way, one.team) for one in busy)
    full = [_goes_by(way) for way, count in lanes.items() if count >= LANES[way].at_once]
    return full + [
        _goes_by(way) & Q(event__team_id=team)
        for (way, team), count in parts.items()
        if count >= LANES[way].per_team
    ]


def _goes_by(way: str) -> Q:
    return Q(channel__isnull=True) if way == EMAIL else Q(channel__kind=way)
