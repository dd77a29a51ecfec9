"""Who hears of an event and by which way: roles, choices, quiet hours."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from accounts import preferences
from accounts.models import Team, User
from accounts.policy import roles_from
from notifications.kinds import Kind, Way
from notifications.models import Channel, Choice, QuietHours


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person and the ways by which they want to hear of it."""

    user: User
    ways: frozenset[Way]


def people(team: Team, kind: Kind) -> list[Recipient]:
    """The active members with the role for it, and superusers; each with the ways they chose."""
    role = Q(memberships__team=team, memberships__role__in=roles_from(kind.least))
    members = User.objects.filter(role | Q(is_superuser=True), is_active=True).distinct()
    by_user: dict[int, set[Way]] = {user.pk: set(kind.ways & kind.wanted) for user in members}
    for choice in Choice.objects.filter(kind=kind.name, user__in=by_user):
        assert choice.user_id is not None
        _apply(by_user[choice.user_id], Way(choice.way), choice.wanted)
    return [
        Recipient(user, frozenset(by_user[user.pk]) & kind.ways - {Way.CHANNEL}) for user in members
    ]


def channels(team: Team, kind: Kind) -> list[Channel]:
    """The team's channels that take events of this kind."""
    if Way.CHANNEL not in kind.ways:
        return []
    rows = Channel.objects.filter(team=team)
    chosen = dict(
        Choice.objects.filter(kind=kind.name, channel__in=rows).values_list("channel_id", "wanted")
    )
    return [row for row in rows if chosen.get(row.pk, Way.CHANNEL in kind.wanted)]


def quiet_ends(user_ids: Iterable[int], now: datetime) -> dict[int, datetime]:
    """When their quiet hours end, for those of these people for whom it is quiet now."""
    rows = QuietHours.objects.filter(user_id__in=list(user_ids))
    ends = {hours.user_id: end_of(hours, now) for hours in rows.select_related("user__preference")}
    return {user_id: end for user_id, end in ends.items() if end is not None}


def end_of(hours: QuietHours, now: datetime) -> datetime | None:
    """When these quiet hours end, None outside of them; they may run past midnight.

    They are told in the person's own time zone.
    """
    local = now.astimezone(preferences.zone_of(hours.user))
    clock = local.time()
    if hours.starts <= hours.ends:
        is_quiet = hours.starts <= clock < hours.ends
    else:
        is_quiet = clock >= hours.starts or clock < hours.ends
    if not is_quiet:
        return None
    day = local.date() if clock < hours.ends else local.date() + timedelta(days=1)
    return datetime.combine(day, hours.ends, tzinfo=local.tzinfo)


def _apply(ways: set[Way], way: Way, wanted: bool) -> None:
    if wanted:
        ways.add(way)
    else:
        ways.discard(way)
