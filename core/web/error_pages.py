"""Error pages: in the site's design, and with an id to quote where it is our fault."""

import logging
import secrets

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static

from core import errors, failures, problems

logger = logging.getLogger(__name__)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that no view was asked about: Django could not read it."""
    return failed(request, failures.known(exception, str(request.path)) or errors.Unreadable())


def failed(request: HttpRequest, error: errors.SiteError) -> HttpResponse:
    """What went wrong, as a page, or as a problem below `/api/`."""
    if request.path.startswith("/api/"):
        return problems.response(error)
    template = "400.html" if error.status == 400 else "problem.html"
    return render(request, template, {"error": error}, status=error.status)


def server_error(request: HttpRequest) -> HttpResponse:
    """A 500 whose number also stands in the log."""
    error_id = secrets.token_hex(4)
    logger.error("error %s on %s %s", error_id, request.method, request.path)
    return render(request, "500.html", {"error_id": error_id}, status=500)


def favicon(request: HttpRequest) -> HttpResponse:
    """For pages that name no icon, such as the admin's."""
    return redirect(static("img/favicon.svg"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that is too old, or was sent by another site."""
    detail = "The form was too old or came from elsewhere. Reload the page and send it again."
    return render(request, "403.html", {"detail": detail}, status=403)
