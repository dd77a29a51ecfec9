"""Who calls: the API by a bearer token in the header, else by the browser's session; pages by the
session alone.

An API request that brings an `Authorization` header is judged by it alone, whatever it holds; a
page does not look at that header. Tokens are read nowhere else: an address with a token in it ends
up in logs. What only people with a session have to meet (the second factor, the session's time)
hangs on `person_of_session`, never on which headers there are.
"""

import re
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from accounts.auth.mfa import lacking
from accounts.models import ApiToken, User
from accounts.policy import Caller
from core.errors import Forbidden, Unauthorized
from core.web import request_turns

_BEARER = re.compile(r"(?i:bearer) (dgx_[A-Za-z0-9_-]{20,100})")
# `last_used_at` is for people; a script that asks every second need not write every second.
_USED_STEP = timedelta(minutes=1)


class CsrfFailed(Forbidden):
    code = "csrf_failed"


class SecondFactorRequired(Forbidden):
    code = "second_factor_required"


class ApiLogin(AuthBase):
    """Ninja's hook: the caller; raises `Unauthorized`, or `Forbidden` without a CSRF token."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Caller:
        return identify(request)


def identify(request: HttpRequest) -> Caller:
    """The caller of a request; raises as `ApiLogin` does."""
    if is_by_header(request):
        return _by_token(request.META["HTTP_AUTHORIZATION"], _address(request))
    return _by_session(request)


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def is_by_header(request: HttpRequest) -> bool:
    """Whether the header says who asks, right or wrong: so it is on the API and nowhere else."""
    return is_api(request) and "HTTP_AUTHORIZATION" in request.META


def person_of_session(request: HttpRequest) -> User | None:
    """The person whose session this request goes by; None for a stranger, and for a header."""
    if is_by_header(request):
        return None
    user = request.user
    found = user if isinstance(user, User) and user.is_active else None
    request_turns.identified(found.pk if found else None)
    return found


def caller_of(request: HttpRequest) -> Caller:
    """The caller that `ApiLogin` found for this request, the same object all along."""
    caller = request.auth  # type: ignore[attr-defined]  # set by ninja
    assert isinstance(caller, Caller)
    return caller


def caller_from_page(request: HttpRequest) -> Caller:
    """The logged-in person of a page or an admin view; Django's middleware has checked CSRF."""
    person = person_of_session(request)
    if person is None:
        raise Unauthorized
    return Caller(person, address=_address(request))


def _by_token(header: str, address: str | None) -> Caller:
    match = _BEARER.fullmatch(header)
    token = ApiToken.find(match[1]) if match else None
    request_turns.identified(token.user_id if token else None)
    if token is None:
        raise Unauthorized("The token is not valid: unknown, expired or revoked.")
    _note_use(token)
    return Caller(token.user, token, address)


def _by_session(request: HttpRequest) -> Caller:
    person = person_of_session(request)
    if person is None:
        raise Unauthorized
    if check_csrf(request) is not None:
        raise CsrfFailed("The CSRF token is missing or wrong.")
    if lacking([person.pk]):
        raise SecondFactorRequired("Set up a second factor first.")
    return Caller(person, address=_address(request))


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    old = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _USED_STEP)
    ApiToken.objects.filter(old, pk=token.pk).update(last_used_at=now)


def _address(request: HttpRequest) -> str | None:
    """The peer's address; None over a Unix socket. Headers are not believed."""
    return request.META.get("REMOTE_ADDR") or None
