"""Tokens for scripts: a person makes and revokes their own.

A token may manage tokens only if its scope is `admin`. What it makes is no stronger than itself,
ends no later, and is revoked together with it.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, Scope
from accounts.policy import Caller
from accounts.teams import quotas
from core.errors import Conflict, Forbidden, Invalid, NotFound

# A click too much can be taken back for as long as the page is fresh.
UNDO = timedelta(minutes=10)
# Of one person, at the same time.
MOST_LIVING = 100


def own(caller: Caller) -> QuerySet[ApiToken]:
    """The caller's tokens that are not revoked, newest first; a superuser sees their own too."""
    rows = ApiToken.objects.filter(user=caller.user, revoked_at=None)
    return rows.order_by("-created_at", "pk")


def create(caller: Caller, name: str, scope: str, days: int | None) -> tuple[ApiToken, str]:
    """A new token and its secret, which is never shown again."""
    _check_scope(caller)
    _check_end(caller.token, days)
    with transaction.atomic():
        audit.take_turn()
        quotas.spend(caller, "token.create")
        if ApiToken.living().filter(user=caller.user).count() >= MOST_LIVING:
            raise Conflict(f"You have {MOST_LIVING} tokens that work; revoke some first.")
        audit.record(caller, "token.create", caller.user, name=name, scope=scope, days=days)
        return ApiToken.issue(caller.user, name, scope, days, made_with=caller.token)


def revoke(caller: Caller, token_id: UUID) -> None:
    """End one of the caller's tokens, with those that were made with it.

    A superuser ends anybody's.
    """
    _check_scope(caller)
    rows = ApiToken.objects.filter(pk=token_id, revoked_at=None)
    if not caller.user.is_superuser:
        rows = rows.filter(user=caller.user)
    with transaction.atomic():
        audit.take_turn()
        token = rows.select_for_update(of=("self",)).first()
        if token is None:
            raise NotFound
        now = timezone.now()
        for one in [token, *_made_with(token)]:
            audit.record(caller, "token.revoke", one)
            ApiToken.objects.filter(pk=one.pk).update(revoked_at=now, revoked_by=caller.user)


def _made_with(token: ApiToken) -> list[ApiToken]:
    """What was made with it and still works, and with that, and so on."""
    found: list[ApiToken] = []
    level = [token]
    while level:
        level = list(ApiToken.objects.filter(made_with__in=level, revoked_at=None))
        found += level
    return found


def revoked_lately(caller: Caller, token_id: UUID) -> ApiToken | None:
    """A token that the caller revoked themselves and `restore` would bring back."""
    rows = ApiToken.objects.filter(
        made_with__revoked_at=None,
        pk=token_id,
        user=caller.user,
        revoked_by=caller.user,
        revoked_at__gte=timezone.now() - UNDO,
    )
    return rows.first()


def restore(caller: Caller, token_id: UUID) -> ApiToken:
    """Take one's own revocation back, for ten minutes; `NotFound` afterwards and for others.

    What was made with it comes back one by one. A token brings none back: it could be itself's.
    """
    if caller.token is not None:
        raise Forbidden("A token brings no token back; the page of tokens does.")
    with transaction.atomic():
        audit.take_turn()  # whoever revokes the token that made it waits, or has done so
        token = revoked_lately(caller, token_id)
        if token is None:
            raise NotFound
        audit.record(caller, "token.restore", token)
        token.revoked_at = token.revoked_by = None
        token.save(update_fields=["revoked_at", "revoked_by"])
    return token


def _check_scope(caller: Caller) -> None:
    if caller.token is not None and caller.token.scope != Scope.ADMIN:
        raise Forbidden("A token needs the scope admin to manage tokens.")


def _check_end(maker: ApiToken | None, days: int | None) -> None:
    if maker is None or maker.expires_at is None or days is None:
        return
    if timezone.now() + timedelta(days=days) > maker.expires_at:
        raise Invalid.field(
            "days",
            f"A token makes none that outlives it; it ends {maker.expires_at:%Y-%m-%d %H:%M} UTC. "
            "Leave this out, and the new one ends with it.",
        )
