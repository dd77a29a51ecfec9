"""Who calls the API: a bearer token in the header, or the browser's session with CSRF.

A request that brings an `Authorization` header is judged by it alone. Tokens are read nowhere
else: an address with a token in it ends up in logs.
"""

import re
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from accounts.models import ApiToken, User
from accounts.policy import Caller
from dgxsite.errors import Forbidden, Unauthorized

_BEARER = re.compile(r"(?i:bearer) (dgx_[A-Za-z0-9_-]{20,100})")
# `last_used_at` is for people; a script that asks every second need not write every second.
_USED_STEP = timedelta(minutes=1)


class ApiLogin(AuthBase):
    """Ninja's hook: the caller; raises `Unauthorized`, or `Forbidden` without a CSRF token."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Caller:
        return identify(request)


def identify(request: HttpRequest) -> Caller:
    """The caller of a request; raises as `ApiLogin` does."""
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is not None:
        return _by_token(header, _address(request))
    return _by_session(request)


def caller_of(request: HttpRequest) -> Caller:
    """The caller that `ApiLogin` found for this request, the same object all along."""
    caller = request.auth  # type: ignore[attr-defined]  # set by ninja
    assert isinstance(caller, Caller)
    return caller


def caller_from_page(request: HttpRequest) -> Caller:
    """The logged-in person of a page or an admin view; Django's middleware has checked CSRF."""
    if not isinstance(request.user, User) or not request.user.is_active:
        raise Unauthorized
    return Caller(request.user, address=_address(request))


def _by_token(header: str, address: str | None) -> Caller:
    match = _BEARER.fullmatch(header)
    token = ApiToken.find(match[1]) if match else None
    if token is None:
        raise Unauthorized("The token is not valid: unknown, expired or revoked.")
    _note_use(token)
    return Caller(token.user, token, address)


def _by_session(request: HttpRequest) -> Caller:
    if not isinstance(request.user, User) or not request.user.is_active:
        raise Unauthorized
    if check_csrf(request) is not None:
        raise Forbidden("The CSRF token is missing or wrong.", code="csrf_failed")
    return Caller(request.user, address=_address(request))


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    old = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _USED_STEP)
    ApiToken.objects.filter(old, pk=token.pk).update(last_used_at=now)


def _address(request: HttpRequest) -> str | None:
    """The peer's address; None over a Unix socket. Headers are not believed."""
    return request.META.get("REMOTE_ADDR") or None
