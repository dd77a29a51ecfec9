"""Logins, failed logins and refusals in the audit trail, without letting a flood drown it.

A login is a row at once. Refusals, failed logins and failed second factors are counted per minute,
caller and kind; when the minute is over, each count becomes one row. What was typed as a user name
is not kept: it may have been a password.
"""

import ipaddress
import logging
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts import audit
from accounts.auth.callers import is_by_header, person_of_session
from accounts.models import ApiToken, AuditEvent, Refusal, User
from accounts.policy import Caller
from core import cleaner
from core.background import isolation

logger = logging.getLogger(__name__)

LOGIN_FAILED, REFUSED = "login.failed", "access.refused"
SECOND_FACTOR_FAILED = "second_factor.failed"


def note(
    action: str, *, user: User | None, token_name: str = "", address: str | None, **first: Any
) -> None:
    """Count one refusal; never raises, since the refusal itself has been told already."""
    minute = timezone.now().replace(second=0, microsecond=0)
    caller = f"user {user.pk}" if user else f"address {_network(address)}"
    key = {"minute": minute, "action": action, "caller": caller}
    try:
        if Refusal.objects.filter(**key).update(count=F("count") + 1):
            return
        values = {"actor": user, "token_name": token_name, "address": address}
        values["first"] = cleaner.values(first, 200)
        try:
            with transaction.atomic():
                Refusal.objects.create(**key, **values)
        except IntegrityError:  # another request was the first one
            Refusal.objects.filter(**key).update(count=F("count") + 1)
        write_down()
    except (DatabaseError, InterfaceError) as error:
        logger.error("a refusal was not noted: %s", error)


def write_down(now: datetime | None = None) -> int:
    """Turn the counts of the minutes that are over into audit rows; how many there were."""
    running = (now or timezone.now()).replace(second=0, microsecond=0)
    if not Refusal.objects.filter(minute__lt=running).exists():
        return 0
    with transaction.atomic():
        audit.take_turn()
        rows = list(
            Refusal.objects.select_for_update(of=("self",))
            .select_related("actor")
            .filter(minute__lt=running)
            .order_by("minute", "pk")
        )
        # One that cannot be written is logged and forgotten: it would never become one that can.
        isolation.each(rows, _write, name="writing down refusal", rests=False)
        Refusal.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def note_response(request: HttpRequest, response: HttpResponseBase) -> None:
    """Note an answer that refuses somebody: 403, or 401 to credentials that are not valid."""
    presented = is_by_header(request)
    if response.status_code != 403 and not (response.status_code == 401 and presented):
        return
    caller = getattr(request, "auth", None)
    user, token = _who(request, caller)
    match = request.resolver_match
    note(
        REFUSED,
        user=user,
        token_name=token.name if token else "",
        address=request.META.get("REMOTE_ADDR") or None,
        method=request.method,
        route=match.route if match else "",
        status=response.status_code,
    )


def note_proof(request: HttpRequest, user: User | None, kind: str) -> None:
    """Note a code or a passkey that proves nothing; `user` None came with a passkey alone.

    Who is named here knew the password already, so the count is theirs and not their network's.
    """
    action = SECOND_FACTOR_FAILED if user else LOGIN_FAILED
    note(action, user=user, address=request.META.get("REMOTE_ADDR") or None, kind=kind)


def note_handshake(path: str, address: str | None, status: int) -> None:
    """Note a socket that was not opened: a foreign page (403), or a token that counts not (401)."""
    note(REFUSED, user=None, address=address, method="WEBSOCKET", route=path, status=status)


def _who(request: HttpRequest, caller: Any) -> tuple[User | None, ApiToken | None]:
    if isinstance(caller, Caller):
        return caller.user, caller.token
    return (person_of_session(request) if hasattr(request, "user") else None), None


def _write(row: Refusal) -> None:
    AuditEvent.objects.create(
        actor=row.actor,
        actor_name=row.actor.get_username() if row.actor else "somebody",
        token_name=row.token_name,
        address=row.address,
        action=row.action,
        detail={"count": row.count, "minute": row.minute.isoformat(), "first": row.first},
    )


def _network(address: str | None) -> str:
    """One caller: an IPv4 address, or the /64 that one IPv6 line usually has."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def note_login(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    _record(request, user, "login")


def note_logout(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    if isinstance(user, User):
        _record(request, user, "logout")


def note_failed_login(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Somebody is named only if there is such a person."""
    name = credentials.get("username") or credentials.get("login") or ""
    known = User.objects.filter(username=name).first() if isinstance(name, str) else None
    address = request.META.get("REMOTE_ADDR") or None if request else None
    note(LOGIN_FAILED, user=None, address=address, person=known.get_username() if known else None)


def note_failed_code(
    sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    note_proof(request, user, authenticator.type)


def _record(request: HttpRequest | None, user: User, action: str) -> None:
    address = request.META.get("REMOTE_ADDR") or None if request else None
    audit.record(Caller(user, address=address), action, user)
