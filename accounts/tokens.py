"""Tokens for scripts: a person makes and revokes their own.

A token may manage tokens only if its scope is `admin`, and none can make a stronger one.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, Scope
from accounts.policy import Caller
from dgxsite.errors import Forbidden, NotFound

# A click too much can be taken back for as long as the page is fresh.
UNDO = timedelta(minutes=10)


def own(caller: Caller) -> QuerySet[ApiToken]:
    """The caller's tokens that are not revoked, newest first; a superuser sees their own too."""
    rows = ApiToken.objects.filter(user=caller.user, revoked_at=None)
    return rows.order_by("-created_at", "pk")


def create(caller: Caller, name: str, scope: str, days: int | None) -> tuple[ApiToken, str]:
    """A new token and its secret, which is never shown again."""
    _check_scope(caller)
    with transaction.atomic():
        audit.record(caller, "token.create", caller.user, name=name, scope=scope, days=days)
        return ApiToken.issue(caller.user, name, scope, days)


def revoke(caller: Caller, token_id: UUID) -> None:
    """End one of the caller's tokens; a superuser ends anybody's."""
    _check_scope(caller)
    rows = ApiToken.objects.filter(pk=token_id, revoked_at=None)
    if not caller.user.is_superuser:
        rows = rows.filter(user=caller.user)
    token = rows.first()
    if token is None:
        raise NotFound
    with transaction.atomic():
        audit.record(caller, "token.revoke", token)
        rows.update(revoked_at=timezone.now())


def revoked_lately(caller: Caller, token_id: UUID) -> ApiToken | None:
    """A token of the caller's own that `restore` would bring back."""
    return ApiToken.objects.filter(
        pk=token_id, user=caller.user, revoked_at__gte=timezone.now() - UNDO
    ).first()


def restore(caller: Caller, token_id: UUID) -> ApiToken:
    """Take a revocation back, for ten minutes; `NotFound` afterwards and for anybody else's."""
    _check_scope(caller)
    token = revoked_lately(caller, token_id)
    if token is None:
        raise NotFound
    with transaction.atomic():
        audit.record(caller, "token.restore", token)
        token.revoked_at = None
        token.save(update_fields=["revoked_at"])
    return token


def _check_scope(caller: Caller) -> None:
    if caller.token is not None and caller.token.scope != Scope.ADMIN:
        raise Forbidden("A token needs the scope admin to manage tokens.")
