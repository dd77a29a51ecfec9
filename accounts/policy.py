"""Who may do what: the one table that pages, API, admin and sockets ask.

A caller is a person, perhaps through a token. A right is the smaller of the role in the machine's
team and the token's scope. An action that is not in the table is refused, and so is a route, a
method or a topic that no app declares.

Each app declares its own in `permissions.py` beside its urls, as `PERMISSIONS`; `collect` reads
that module of every installed app at start (`accounts/apps.py`). An app without one has no routes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, TypeVar
from uuid import UUID

from django.apps import AppConfig, apps
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, Q, QuerySet
from django.utils.module_loading import module_has_submodule

from accounts.models import ApiToken, Membership, Role, Scope, Team, User
from core.errors import Forbidden, NotFound

R = TypeVar("R", bound=Model)
T = TypeVar("T")

_RANK: dict[str, int] = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMINISTRATOR: 3}
_SCOPE_RANK: dict[str, int] = {Scope.READ: 1, Scope.OPERATE: 2, Scope.ADMIN: 3}


class Right(StrEnum):
    """What an action needs that belongs to no team."""

    ANYONE = "anyone"
    PERSON = "person"  # any login, for what is one's own
    STAFF = "staff"  # Django's admin, whose own permissions say more
    SUPERUSER = "superuser"


# The action that each method of a route asks for.
Methods = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPermissions:
    """What one app declares.

    `actions` maps an action to the least role, or the right, that may do it (contract section 6).
    `pages` and `api` map a route to its methods. A page's route is written as Django's resolver
    spells it, the API's without its prefix. One that ends with `*` covers all routes that begin so:
    allauth brings a dozen per way to log in. `topics` maps the kind of a socket's topic, which is
    what stands before the colon, to the action that following it asks for. Of `admin_models`,
    named as Django names them, all six routes of the back office are open to staff.
    """

    actions: Mapping[str, Role | Right] = field(default_factory=dict)
    pages: Mapping[str, Methods] = field(default_factory=dict)
    api: Mapping[str, Methods] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    admin_models: tuple[str, ...] = ()

    def routes(self) -> list[tuple[str, Methods]]:
        """Every route with its methods, spelled as Django's resolver does."""
        back_office = {"GET": "admin.use", "POST": "admin.use"}
        return [
            *self.pages.items(),
            *((f"api/v1/{rest}", methods) for rest, methods in self.api.items()),
            *((f"admin/{name.replace('.', '/')}/*", back_office) for name in self.admin_models),
        ]


# What all apps declare together; empty until `collect` was called, and what is not here is refused.
ACTIONS: dict[str, Role | Right] = {}
ROUTES: dict[str, Methods] = {}
TOPICS: dict[str, str] = {}


def collect() -> None:
    """Fill the tables from the `permissions` module of each installed app.

    Raises `ImproperlyConfigured` for what two apps declare, and for an action that none does.
    """
    declared = {config.name: _declared_by(config) for config in apps.get_app_configs()}
    actions, routes, topics = merge({name: one for name, one in declared.items() if one})
    for table, found in ((ACTIONS, actions), (ROUTES, routes), (TOPICS, topics)):
        table.clear()
        table.update(found)  # type: ignore[arg-type]


def _declared_by(config: AppConfig) -> AppPermissions | None:
    """None for an app without a `permissions` module, and for one of a library with other aims."""
    if config.module is None or not module_has_submodule(config.module, "permissions"):
        return None
    found = getattr(import_module(f"{config.name}.permissions"), "PERMISSIONS", None)
    return found if isinstance(found, AppPermissions) else None


def merge(
    declared: Mapping[str, AppPermissions],
) -> tuple[dict[str, Role | Right], dict[str, Methods], dict[str, str]]:
    """The actions, routes and topics of all apps, by their names; each has one owner."""
    actions = _join("action", {app: list(one.actions.items()) for app, one in declared.items()})
    routes = _join("route", {app: one.routes() for app, one in declared.items()})
    topics = _join("topic", {app: list(one.topics.items()) for app, one in declared.items()})
    asked = {action for methods in routes.values() for action in methods.values()}
    unknown = sorted((asked | set(topics.values())) - set(actions))
    if unknown:
        raise ImproperlyConfigured(f"No app declares the actions {', '.join(unknown)}.")
    return actions, routes, topics


def _join(kind: str, declared: Mapping[str, list[tuple[str, T]]]) -> dict[str, T]:
    found: dict[str, T] = {}
    owner: dict[str, str] = {}
    for app, entries in declared.items():
        for name, value in entries:
            if name in found:
                raise ImproperlyConfigured(
                    f"{app} and {owner[name]} both declare the {kind} {name!r}."
                )
            found[name], owner[name] = value, app
    return found


def methods_of(route: str) -> Methods | None:
    """The action for each method of a route; None if nobody has declared it."""
    exact = ROUTES.get(route)
    if exact is not None:
        return exact
    for pattern, methods in ROUTES.items():
        if pattern.endswith("*") and route.startswith(pattern[:-1]):
            return methods
    return None


def action_of_topic(topic: str) -> str | None:
    """The action that following a topic asks for; None for a kind that is not declared."""
    return TOPICS.get(topic.partition(":")[0])


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
