"""What administrators do with channels: called alike by pages, the API and the admin.

Addresses are checked before the transaction, because that asks name servers and may take half a
minute. The transaction locks the row, asks the right again and writes what has changed, so that
what others did meanwhile stays. A channel that is gone by then, or that belongs to a team of which
the caller is no member, raises `NotFound`, a role that is too small `Forbidden`.
"""

import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.auth import rate_limits
from accounts.models import Role, Scope, Team
from accounts.policy import Caller, may, roles_from, teams_with
from core.errors import Forbidden, Invalid, NotFound
from core.failures import conflict
from core.web.slots import Places
from notifications import kinds
from notifications.channels import addresses
from notifications.channels.outcome import Outcome
from notifications.delivery import resting, sender
from notifications.kinds import KINDS, Severity, Way
from notifications.models import Channel, ChannelKind, Choice, Delivery, Event
from notifications.serializers import MASK

ACTION = "channel.manage"
# Each check starts a program or asks a name server, each test sends something.
CHECKS_PER_MINUTE, TESTS_PER_MINUTE = 30, 10
CHECKS = Places("checks and tests of channels", in_all=16, per_person=2)

Fields = dict[str, Any]

# What was checked together is written together.
_ADDRESS = ("kind", "url_encrypted", "shown_url")
_COLUMNS = ("name", "secret_encrypted", *_ADDRESS)


def manageable(caller: Caller) -> QuerySet[Channel]:
    """The channels of the teams that the caller administers; `Forbidden` where there is none."""
    if caller.token is not None and caller.token.scope != Scope.ADMIN:
        raise Forbidden("A token needs the scope admin to manage channels.")
    administers = caller.user.memberships.filter(role__in=roles_from(Role.ADMINISTRATOR)).exists()
    if not administers and not caller.user.is_superuser:
        raise Forbidden("Only administrators manage channels.")
    rows = Channel.objects.administered_by(caller.user).select_related("team")
    return rows.prefetch_related("choices").order_by("name", "pk")


def find(caller: Caller, channel_id: UUID, *, locked: bool = False) -> Channel:
    """One channel to manage; `locked` until the transaction ends."""
    rows = Channel.objects.filter(teams_with(caller.user, Role.VIEWER)).select_related("team")
    if locked:
        rows = rows.select_for_update(of=("self",), no_key=True)
    row = rows.filter(pk=channel_id).first()
    if row is None:
        raise NotFound
    if not may(caller, ACTION, row.team):
        raise Forbidden
    return row


def draft(caller: Caller, fields: Fields) -> Channel:
    """An unsaved channel, its address checked; see `add`."""
    team = _team(caller, fields.get("team_id"))
    row = Channel(team=team, created_by=caller.user)
    fill(caller, row, fields)
    return row


def add(caller: Caller, row: Channel, events: Sequence[str] | None = None) -> str | None:
    """Store what `draft` made; the secret if one was made here, which is never shown again."""
    made = None
    if row.kind == ChannelKind.WEBHOOK and not row.secret_encrypted:
        made = secrets.token_urlsafe(32)
        row.set_secret("secret", made)
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        _team(caller, row.team_id)  # asked again: the check of the address may have taken long
        audit.record(caller, "channel.create", row, kind=row.kind, address=row.shown_url)
        row.save(force_insert=True)
        _choose(row, events)
    return made


def change(caller: Caller, channel_id: UUID, fields: Fields) -> Channel:
    """Change what was sent; a masked address or secret that comes back as shown stays."""
    draft = find(caller, channel_id)
    before = _columns(draft)
    fill(caller, draft, fields)
    wanted = {name: value for name, value in _columns(draft).items() if value != before[name]}
    if wanted.keys() & set(_ADDRESS):
        wanted |= {name: getattr(draft, name) for name in _ADDRESS}
    with _unique_name(), transaction.atomic():
        row = find(audit.take_turn_of(caller), channel_id, locked=True)
        for name, value in wanted.items():
            setattr(row, name, value)
        row.failures, row.rests_until = 0, None  # what was wrong may be mended: it is tried at once
        audit.record(caller, "channel.change", row, fields=sorted(fields))
        row.save(update_fields=[*wanted, "failures", "rests_until", "updated_at"])
        _choose(row, fields.get("events"))
    return row


def delete(caller: Caller, channel_id: UUID) -> None:
    """For good: its address, its log, and what still waited to be sent."""
    with transaction.atomic():
        row = find(audit.take_turn_of(caller), channel_id, locked=True)
        audit.record(caller, "channel.delete", row)
        row.delete()


def test(caller: Caller, channel_id: UUID) -> Outcome:
    """Send one message now and say what came of it."""
    row = find(caller, channel_id)
    rate_limits.allow(caller, "channels.test", TESTS_PER_MINUTE)
    audit.record(caller, "channel.test", row)
    event = Event(
        team=row.team,
        kind=kinds.TEST,
        severity=Severity.INFO,
        title="A test from dgxsite",
        body=f"{caller.user.get_username()} has tested the channel “{row.name}”.",
        created_at=timezone.now(),
    )
    with CHECKS.take(caller.user.pk):
        outcome = sender.through_channel(row, event)
    if outcome.ok:
        resting.note_success(row)
    return outcome


def log_of(caller: Caller, channel_id: UUID) -> QuerySet[Delivery]:
    """The deliveries of a channel, newest first, with their tries."""
    return find(caller, channel_id).deliveries.order_by("-id").prefetch_related("tries")


def _team(caller: Caller, team_id: UUID | None) -> Team:
    """The named team, or the oldest that the caller administers."""
    least = Role.VIEWER if team_id else Role.ADMINISTRATOR
    teams = _teams(caller, least).order_by("created_at")
    team = teams.filter(pk=team_id).first() if team_id else teams.first()
    if team is None and team_id:
        raise NotFound("There is no such team.")
    if team is None or not may(caller, ACTION, team):
        raise Forbidden("Only an administrator of a team adds channels.")
    return team


def _teams(caller: Caller, least: Role) -> QuerySet[Team]:
    if caller.user.is_superuser:
        return Team.objects.all()
    return Team.objects.filter(
        memberships__user=caller.user, memberships__role__in=roles_from(least)
    )


def fill(caller: Caller, row: Channel, fields: Fields) -> None:
    """Take over what was sent; `Invalid` names the field. Asks name servers."""
    before = row.kind if row.url_encrypted else None
    row.name = fields.get("name", row.name)
    row.kind = fields.get("kind", row.kind)
    url = fields.get("url")
    if url is not None and url != row.shown_url:
        rate_limits.allow(caller, "channels.check", CHECKS_PER_MINUTE)
        with CHECKS.take(caller.user.pk):
            row.shown_url = addresses.check(row.kind, url)
        row.set_secret("url", url)
    elif before != row.kind:
        raise Invalid.field("url", "Give the address.")
    secret = fields.get("secret")
    if "secret" in fields and secret != MASK:
        if secret and row.kind != ChannelKind.WEBHOOK:
            raise Invalid.field("secret", "Only a webhook has a secret.")
        row.set_secret("secret", secret or "")


def _columns(row: Channel) -> Fields:
    return {name: getattr(row, name) for name in _COLUMNS}


def _choose(row: Channel, events: Sequence[str] | None) -> None:
    """Which kinds of events go there; None leaves it as it is."""
    if events is None:
        return
    offered = [kind.name for kind in KINDS if Way.CHANNEL in kind.ways]
    Choice.objects.filter(channel=row).delete()
    Choice.objects.bulk_create(
        Choice(channel=row, kind=name, way=Way.CHANNEL, wanted=name in events) for name in offered
    )


def _unique_name() -> AbstractContextManager[None]:
    """Around a write: the team's second channel of one name is a `Conflict`."""
    return conflict(
        "one_channel_name_per_team", "The team already has a channel of this name.", "name"
    )
