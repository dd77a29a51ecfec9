"""What a login has to meet on every request: its time limits, and the second factor of its rank."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import sessions
from accounts.models import User
from accounts.second_factor import lacking
from dgxsite.errors import Forbidden
from dgxsite.middleware import UnavailableDatabase
from dgxsite.problems import response as problem

Handler = Callable[[HttpRequest], HttpResponse]

# Where a person proves who they are, sets up the second factor or leaves.
_ALWAYS_OPEN = ("/accounts/", "/api/health", "/static/")


class SessionLimits:
    """Notes after each request that the session was used; `accounts.sessions` has the rule."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        try:
            sessions.touch(request)
        except DatabaseError:
            pass  # the page has said so, or needed no database
        return response


class SecondFactorFirst:
    """Leads whoever has to set up a second factor there, before anything else.

    Callers with a token have none and need none: a script cannot answer one.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not settings.REQUIRE_MFA or "Authorization" in request.headers:
            return None
        try:
            missing = isinstance(request.user, User) and bool(lacking([request.user.pk]))
        except (OperationalError, InterfaceError) as error:
            return UnavailableDatabase(self.get_response).process_exception(request, error)
        request.second_factor_missing = missing  # type: ignore[attr-defined]
        if not missing or request.path.startswith(_ALWAYS_OPEN):
            return None
        if request.path.startswith("/api/"):
            return problem(
                Forbidden("Set up a second factor first.", code="second_factor_required")
            )
        return redirect("mfa_index")
