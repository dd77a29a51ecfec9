"""The door before every view: an address nobody has declared is not there.

Runs after the login is known. Pages send a stranger to the login, the API answers problems; what
remains for the view is to ask about the object it touches.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.defaults import page_not_found

from accounts.audit import denials
from accounts.auth.callers import is_api
from accounts.policy import ACTIONS, Methods, Right, methods_of
from core import errors, problems
from core.web.middleware import UnavailableDatabase

logger = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]

# Django's own ideas of reading; both are answered by what answers GET.
_AS_GET = ("HEAD", "OPTIONS")


class DeclaredRoutes:
    """Refuses what no app declares (`accounts.policy`), and notes every refusal for the audit."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        denials.note_response(request, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        methods = methods_of(match.route) if match is not None else None
        if methods is None:
            logger.error("no app declares an action for %r", match and match.route)
            return _absent(request)
        method = "GET" if request.method in _AS_GET else str(request.method)
        action = methods.get(method)
        if action is None:
            return _wrong_method(request, methods)
        if is_api(request):
            return None  # its own login answers 401, and asks a session for its CSRF token
        try:
            return _page_refusal(request, action)
        except (OperationalError, InterfaceError) as error:
            return UnavailableDatabase(self.get_response).process_exception(request, error)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page whose service refused: 403 or 429 with the sentence, or the 404 of any address."""
        if isinstance(exception, errors.NotFound):
            return page_not_found(request, Http404())
        if isinstance(exception, errors.Forbidden):
            return render(request, "403.html", {"detail": exception.detail}, status=403)
        if isinstance(exception, errors.TooMany):
            answer = render(request, "429.html", {"detail": exception.detail}, status=429)
            problems.say_when(answer, exception)
            return answer
        return None


def _page_refusal(request: HttpRequest, action: str) -> HttpResponseBase | None:
    """The way to the login, or what a person without the right is told; None lets in."""
    needed = ACTIONS.get(action)
    if needed is None:
        return render(request, "403.html", status=403)
    if needed is Right.ANYONE:
        return None
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if needed is Right.STAFF and not request.user.is_staff:
        return render(request, "403.html", {"detail": "This is for the site's staff."}, status=403)
    return None


def _absent(request: HttpRequest) -> HttpResponse:
    if is_api(request):
        return problems.response(errors.NotFound("There is no such address in the API."))
    raise Http404


def _wrong_method(request: HttpRequest, methods: Methods) -> HttpResponse:
    allowed = sorted({*methods, *(("HEAD",) if "GET" in methods else ())})
    if not is_api(request):
        return HttpResponseNotAllowed(allowed)
    refused = problems.response(errors.MethodNotAllowed("See the Allow header."))
    refused.headers["Allow"] = ", ".join(allowed)
    return refused
