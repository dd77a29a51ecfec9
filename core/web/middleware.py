"""What every response carries, and what a request gets when the database is down."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from core import errors, failures, problems
from core.web import error_pages

logger = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]

PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
# The name that the policy's `report-to` uses; see dgxsite/http/csp_reports.py.
REPORTING = 'csp="/csp-reports"'

_OWN_PAGE = frozenset({403, 404, 429})

_BARE_POLICY = "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def guard(response: HttpResponse) -> None:
    """Put on what the chain below would have, for an answer that never came to Django."""
    response.headers["Content-Security-Policy"] = _BARE_POLICY
    response.headers["Permissions-Policy"] = PERMISSIONS
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = settings.SECURE_REFERRER_POLICY
    response.headers["Cross-Origin-Opener-Policy"] = settings.SECURE_CROSS_ORIGIN_OPENER_POLICY
    if settings.SECURE_HSTS_SECONDS:
        seconds = f"max-age={settings.SECURE_HSTS_SECONDS}"
        response.headers["Strict-Transport-Security"] = f"{seconds}; includeSubDomains; preload"


class PrivateResponses:
    """Pages of a logged-in person stay out of every cache; unused browser features are off."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Reporting-Endpoints", REPORTING)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class KnownFailures:
    """A page whose view met what `core.failures` knows says so; 403, 404, 429 and 503 have pages
    of their own, which `accounts.route_middleware` and `UnavailableDatabase` give."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, (OperationalError, InterfaceError, Http404, PermissionDenied)):
            return None
        error = failures.known(exception, f"{request.method} {request.path}")
        if error is None or error.status in _OWN_PAGE:
            return None
        return error_pages.failed(request, error)


class UnavailableDatabase:
    """A database that is down is a 503 with a sentence, not a 500."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, (OperationalError, InterfaceError)):
            return None
        logger.error("database unavailable: %s", exception)
        if request.path.startswith("/api/"):
            return problems.response(errors.Unavailable("The database does not answer."))
        return render(request, "503.html", status=503)
