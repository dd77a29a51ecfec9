"""Who may do what: the one table that pages, API, admin and sockets ask.

A caller is a person, perhaps through a token. A right is the smaller of the role in the machine's
team and the token's scope. An action that is not in the table is refused. `accounts.routes` says
which action each address and each topic asks for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from accounts.models import ApiToken, Membership, Role, Scope, Team, User
from core.errors import Forbidden, NotFound

R = TypeVar("R", bound=Model)

_RANK: dict[str, int] = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMINISTRATOR: 3}
_SCOPE_RANK: dict[str, int] = {Scope.READ: 1, Scope.OPERATE: 2, Scope.ADMIN: 3}


class Right(StrEnum):
    """What an action needs that belongs to no team."""

    ANYONE = "anyone"
    PERSON = "person"  # any login, for what is one's own
    STAFF = "staff"  # Django's admin, whose own permissions say more
    SUPERUSER = "superuser"


# The least role, or the right, that may do it; contract section 6.
ACTIONS: dict[str, Role | Right] = {
    "site.enter": Right.ANYONE,
    "site.machine": Right.PERSON,
    "site.documents": Right.PERSON,
    "site.status": Right.SUPERUSER,
    "self.view": Right.PERSON,
    "self.change": Right.PERSON,
    "admin.use": Right.STAFF,
    "user.view": Right.SUPERUSER,
    "user.create": Right.SUPERUSER,
    "user.change": Right.SUPERUSER,
    "team.list": Right.PERSON,
    "team.create": Right.SUPERUSER,
    "team.change": Role.ADMINISTRATOR,
    "team.delete": Right.SUPERUSER,
    "team.leave": Role.VIEWER,
    "notification.view": Right.PERSON,
    "channel.manage": Role.ADMINISTRATOR,
    "connection.list": Right.PERSON,
    "connection.view": Role.VIEWER,
    "connection.connect": Role.OPERATOR,
    "connection.test": Role.OPERATOR,
    "connection.create": Role.ADMINISTRATOR,
    "connection.change": Role.ADMINISTRATOR,
    "connection.delete": Role.ADMINISTRATOR,
    "connection.host_key": Role.ADMINISTRATOR,
    "project.list": Right.PERSON,
    "project.view": Role.VIEWER,
    "project.create": Role.OPERATOR,
    "project.change": Role.OPERATOR,
    "project.delete": Role.OPERATOR,
    "job.list": Right.PERSON,
    "job.view": Role.VIEWER,
    "job.files": Role.OPERATOR,
    "job.create": Role.OPERATOR,
    "job.start": Role.OPERATOR,
    "job.stop": Role.OPERATOR,
    "job.retry": Role.OPERATOR,
    "job.change": Role.OPERATOR,
    "job.delete": Role.OPERATOR,
    "gpu.wish": Role.VIEWER,
    "queue.change": Role.ADMINISTRATOR,
    "metrics.view": Role.VIEWER,
    "export.view": Role.VIEWER,
    "export.download": Role.VIEWER,
    "export.make": Role.OPERATOR,
    "usage.list": Right.PERSON,
    "alert.list": Right.PERSON,
    "alert.acknowledge": Role.OPERATOR,
    "alert_rule.view": Role.VIEWER,
    "alert_rule.create": Role.OPERATOR,
    "alert_rule.change": Role.OPERATOR,
    "member.view": Role.VIEWER,
    "member.change": Role.ADMINISTRATOR,
    "member.invite": Role.ADMINISTRATOR,
    "audit.view": Role.ADMINISTRATOR,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the person, the token if one was used, and the address it came from."""

    user: User
    token: ApiToken | None = None
    address: str | None = None

    @property
    def ceiling(self) -> int:
        """The rank that the token's scope allows at most."""
        return _SCOPE_RANK[self.token.scope] if self.token else _RANK[Role.ADMINISTRATOR]


# An action, and the id of the team where it is a matter of roles.
Allowed = tuple[str, UUID | None]
_noted: ContextVar[list[Allowed] | None] = ContextVar("noted", default=None)


def may(caller: Caller, action: str, team: Team | None = None) -> bool:
    """Whether the caller may do `action`, to something of `team` if it is a matter of roles.

    Unknown actions are refused, also to superusers.
    """
    is_allowed = _may(caller, action, team)
    noted = _noted.get()
    if is_allowed and noted is not None:
        noted.append((action, team.pk if team is not None else None))
    return is_allowed


@contextmanager
def noting() -> Iterator[list[Allowed]]:
    """What is asked and allowed meanwhile, for who has to ask the same again later."""
    found: list[Allowed] = []
    before = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(before)


def _may(caller: Caller, action: str, team: Team | None) -> bool:
    least = ACTIONS.get(action)
    if isinstance(least, Right):
        return _has(caller, least)
    if least is None or team is None or caller.ceiling < _RANK[least]:
        return False
    if caller.user.is_superuser:
        return True
    return Membership.objects.filter(
        team=team, user=caller.user, role__in=roles_from(least)
    ).exists()


def one(caller: Caller, rows: QuerySet[R], key: UUID, action: str) -> R:
    """The row for one action, out of `rows`, those that the caller may see; its `team` decides.

    `NotFound` where it is none of them, `Forbidden` where the role is too small.
    """
    row: Any = rows.filter(pk=key).first()
    if row is None:
        raise NotFound
    if not may(caller, action, row.team):
        raise forbidden(action)
    found: R = row
    return found


def one_locked(caller: Caller, rows: QuerySet[R], key: UUID, action: str) -> R:
    """The same, as it is until the transaction ends."""
    return one(caller, rows.select_for_update(of=("self",), no_key=True), key, action)


def forbidden(action: str) -> Forbidden:
    """The refusal that says which role is missing, and who can grant it."""
    least = ACTIONS.get(action)
    if isinstance(least, Role):
        return Forbidden(
            f"This needs the role {least.value}. An administrator of the team can grant it."
        )
    return Forbidden("Only a superuser does this." if least is Right.SUPERUSER else "")


def _has(caller: Caller, right: Right) -> bool:
    if right is Right.SUPERUSER:
        return caller.user.is_superuser and caller.ceiling == _RANK[Role.ADMINISTRATOR]
    # A token opens no back office.
    return right is not Right.STAFF or (caller.user.is_staff and caller.token is None)


def roles_from(least: Role) -> list[str]:
    """The roles that are at least `least`."""
    return [role for role, rank in _RANK.items() if rank >= _RANK[least]]


def teams_with(user: User | AnonymousUser, least: Role) -> Q:
    """A filter for rows with a `team` in which the user has at least this role.

    Raises nothing for anonymous users: they match no row.
    """
    if not isinstance(user, User) or not user.is_active:
        return Q(pk__in=())
    if user.is_superuser:
        return Q()
    memberships = Membership.objects.filter(user=user, role__in=roles_from(least))
    return Q(team_id__in=memberships.values("team_id"))


def role_in(user: User, team: Team) -> str | None:
    """The person's role name in the team: a superuser is administrator everywhere."""
    if user.is_superuser:
        return Role.ADMINISTRATOR
    membership = Membership.objects.filter(team=team, user=user).first()
    return membership.role if membership else None
