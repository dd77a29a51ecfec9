"""Who is behind a socket, and whether they still may be there.

A socket outlives the request that opened it, so what a request proves once is asked again every
two seconds, for all sockets of the process together: the person is active, the password, the
session (which ends when unused, see `accounts.signin.sessions`) or the token still stands, a second
factor is there if the rank needs one, and which teams they belong to.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from accounts.audit import denials
from accounts.auth.mfa import lacking
from accounts.models import ApiToken, Membership, Team, User
from core.web import request_turns

_BEARER = re.compile(r"(?i:bearer) (dgx_[A-Za-z0-9_-]{20,100})")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Principal:
    """A person and what lets them in: a session, or a token; `password` is the stored hash."""

    user_id: int
    password: str
    session_key: str | None = None
    token_id: UUID | None = None


def header(scope: Mapping[str, Any], name: bytes) -> str | None:
    """The header's value; None if it is absent, or sent twice with different values."""
    values = {value.decode("latin-1") for key, value in scope["headers"] if key == name}
    return values.pop() if len(values) == 1 else None


def is_welcome(scope: Mapping[str, Any], foreign: Collection[str] = ()) -> bool:
    """Whether the handshake may come from there: our own pages, or a program with a token.

    `foreign` are origins of other sites' pages that this socket takes as well.

    A browser sends cookies with a socket that any page opens, and says which page it was; one
    without `Origin` is no browser and has no cookies to abuse.
    """
    host = header(scope, b"host")
    if host is not None and not _is_ours(split_domain_port(host)[0]):
        return False
    names = {key for key, _ in scope["headers"]}
    if b"origin" not in names:
        return b"cookie" not in names or b"authorization" in names
    origin = header(scope, b"origin") or ""
    return origin in foreign or _is_own_page(origin, host)


def _is_own_page(origin: str, host: str | None) -> bool:
    if settings.BASE_URL and origin == settings.BASE_URL:
        return True
    try:
        page = urlsplit(origin)
        page_port = page.port
    except ValueError:
        return False
    if page.scheme not in {"http", "https"} or f"{page.scheme}://{page.netloc}" != origin:
        return False  # also `null`, a path, or what `urlsplit` silently repaired
    if not _is_ours(page.hostname or "") or page.username is not None:
        return False
    return host is None or (page_port or _PORTS[page.scheme]) == _port(host, page)


def _port(host: str, page: SplitResult) -> int:
    """Another port of the same host is another site, though cookies do not know it."""
    port = split_domain_port(host)[1]
    return int(port) if port.isdecimal() else _PORTS[page.scheme]


def _is_ours(name: str) -> bool:
    bracketed = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return bool(name) and validate_host(bracketed.lower(), settings.ALLOWED_HOSTS)


def admit(scope: Mapping[str, Any]) -> tuple[Principal, frozenset[UUID]] | None:
    """Who opens this socket, and their teams; None without a valid login.

    A handshake with `Authorization` is judged by that alone.
    """
    if any(key == b"authorization" for key, _ in scope["headers"]):
        found = _by_token(header(scope, b"authorization") or "")
    else:
        found = _by_session(header(scope, b"cookie") or "")
    request_turns.identified(found[0].user_id if found else None)
    if found is None:
        return None
    principal, user = found
    return principal, _teams([user])[user.pk]


def _by_token(value: str) -> tuple[Principal, User] | None:
    match = _BEARER.fullmatch(value)
    token = ApiToken.find(match[1]) if match else None
    if token is None:
        return None
    return Principal(token.user_id, token.user.password, token_id=token.pk), token.user


def _by_session(cookies: str) -> tuple[Principal, User] | None:
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active or lacking([user.pk]):
        return None
    return Principal(user.pk, user.password, session_key=request.session.session_key), user


def refused(scope: Mapping[str, Any], status: int) -> None:
    """Note for the audit that this handshake was turned away; never raises."""
    peer = scope.get("client")
    denials.note_handshake(scope["path"], peer[0] or None if peer else None, status)


def standing(principals: Collection[Principal]) -> dict[Principal, frozenset[UUID]]:
    """The teams of each principal; who is not in the answer has been shut out."""
    users = {
        user.pk: user
        for user in User.objects.filter(
            pk__in={principal.user_id for principal in principals}, is_active=True
        )
    }
    sessions, tokens = _living_sessions(principals), _living_tokens(principals)
    # A second factor is asked of people, not of scripts.
    halted = lacking({one.user_id for one in principals if one.session_key is not None})
    teams = _teams(users.values())
    return {
        principal: teams[principal.user_id]
        for principal in principals
        if principal.user_id in users
        and users[principal.user_id].password == principal.password
        and (
            principal.session_key is None
            or (principal.session_key in sessions and principal.user_id not in halted)
        )
        and (principal.token_id is None or principal.token_id in tokens)
    }


def _living_sessions(principals: Iterable[Principal]) -> set[str]:
    keys = {one.session_key for one in principals if one.session_key is not None}
    if not keys:
        return set()
    model = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    living = model.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return set(living.values_list("session_key", flat=True))


def _living_tokens(principals: Iterable[Principal]) -> set[UUID]:
    ids = {one.token_id for one in principals if one.token_id is not None}
    if not ids:
        return set()
    return set(ApiToken.living().filter(pk__in=ids).values_list("pk", flat=True))


def _teams(users: Iterable[User]) -> dict[int, frozenset[UUID]]:
    people = list(users)
    members: dict[int, set[UUID]] = {user.pk: set() for user in people}
    rows = Membership.objects.filter(user_id__in=members).values_list("user_id", "team_id")
    for user_id, team_id in rows:
        members[user_id].add(team_id)
    if any(user.is_superuser for user in people):
        every = set(Team.objects.values_list("pk", flat=True))
        members |= {user.pk: every for user in people if user.is_superuser}
    return {user_id: frozenset(ids) for user_id, ids in members.items()}
