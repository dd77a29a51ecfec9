"""What a login has to meet on every request: its time limits, and the second factor of its rank."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.auth.callers import is_api, is_by_header, person_of_session
from accounts.auth.mfa import lacking
from accounts.signin import sessions
from core.web.middleware import UnavailableDatabase

Handler = Callable[[HttpRequest], HttpResponse]

# Where a person proves who they are, sets up the second factor or leaves.
_ALWAYS_OPEN = ("/accounts/", "/static/")


class SessionLimits:
    """Notes after each request that went by the session that it was used.

    `accounts.signin.sessions` has the rule. A script's token does not keep alive a login that comes
    along.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        try:
            if not is_by_header(request):
                sessions.touch(request)
        except DatabaseError:
            pass  # the page has said so, or needed no database
        return response


class SecondFactorFirst:
    """Leads whoever has to set up a second factor there, before any other page.

    Pages go by the session alone. The API asks the same where it takes a session for an answer
    (`accounts.auth.callers`); a token needs no second factor, since a script cannot answer one.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not settings.REQUIRE_MFA or is_api(request):
            return None
        try:
            person = person_of_session(request)
            missing = person is not None and bool(lacking([person.pk]))
        except (OperationalError, InterfaceError) as error:
            return UnavailableDatabase(self.get_response).process_exception(request, error)
        request.second_factor_missing = missing  # type: ignore[attr-defined]
        if not missing or request.path.startswith(_ALWAYS_OPEN):
            return None
        return redirect("mfa_index")
