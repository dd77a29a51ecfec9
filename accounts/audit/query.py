"""What was done, for those who may read it: by person, action, object and time, or as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.audit import denials
from accounts.models import AuditEvent, Role, Scope
from accounts.policy import Caller, forbidden, roles_from, teams_with
from core import spreadsheet
from core.errors import Forbidden
from core.times import iso

_COLUMNS = (
    "id", "at", "actor", "token", "action", "object_type", "object_id", "object_name", "team_id",
    "address", "detail",
)  # fmt: skip
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows: parts of names, the start of an action, a half-open span of time."""

    actor: str = ""
    action: str = ""
    object: str = ""
    since: datetime | None = None
    until: datetime | None = None


def rows(caller: Caller, choice: Choice | None = None) -> QuerySet[AuditEvent]:
    """What was done in the teams that the caller administers, all of it for a superuser.

    Newest first. Raises `Forbidden` for everybody else and for a token of a smaller scope.
    """
    _check(caller)
    denials.write_down()
    found = AuditEvent.objects.order_by("-id")
    if not caller.user.is_superuser:
        found = found.filter(teams_with(caller.user, Role.ADMINISTRATOR))
    return found.filter(_wanted(choice or Choice()))


def own(caller: Caller) -> QuerySet[AuditEvent]:
    """What the caller did, newest first; everybody may read that of themselves."""
    return AuditEvent.objects.filter(actor=caller.user).order_by("-id")


def may_read(caller: Caller) -> bool:
    """Whether there is a trail that the caller reads."""
    try:
        _check(caller)
    except Forbidden:
        return False
    return True


def as_csv(events: QuerySet[AuditEvent]) -> Iterator[str]:
    """The rows as lines of RFC 4180, no cell of which is a formula; newest first."""
    return spreadsheet.lines(_COLUMNS, map(_values, _in_batches(events.order_by("-id"))))


def _in_batches(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent]:
    """A query for each thousand, so that none is open while a reader takes its time."""
    batch = list(events[:_BATCH])
    while batch:
        yield from batch
        batch = list(events.filter(id__lt=batch[-1].pk)[:_BATCH])


def _check(caller: Caller) -> None:
    if caller.token is not None and caller.token.scope != Scope.ADMIN:
        raise Forbidden("A token needs the scope admin to read the audit trail.")
    administers = caller.user.memberships.filter(role__in=roles_from(Role.ADMINISTRATOR))
    if not caller.user.is_superuser and not administers.exists():
        raise forbidden("audit.view")


def _wanted(choice: Choice) -> Q:
    wanted = Q()
    if choice.actor:
        wanted &= Q(actor_name__icontains=choice.actor)
    if choice.action:
        wanted &= Q(action__startswith=choice.action)
    if choice.object:
        wanted &= Q(object_name__icontains=choice.object) | Q(object_id=choice.object)
    if choice.since:
        wanted &= Q(at__gte=choice.since)
    if choice.until:
        wanted &= Q(at__lt=choice.until)
    return wanted


def _values(event: AuditEvent) -> tuple[object, ...]:
    return (
        event.pk, iso(event.at), event.actor_name, event.token_name, event.action,
        event.object_type, event.object_id, event.object_name, event.team_id, event.address,
        event.detail or "",
    )  # fmt: skip
