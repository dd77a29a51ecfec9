"""The REST API put together: `/api/v1`, `/api/health`, `/api/metrics`, and one shape of error.

`dgxsite/urls.py` includes `urlpatterns` under `/api/`. Whatever goes wrong below it is answered
as a problem (RFC 9457), also an unknown path, a wrong method and a fault of ours.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, re_path
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.docs import Swagger
from ninja.parser import Parser

from accounts.api import router as people
from accounts.auth.callers import ApiLogin, identify
from alerts.api import router as alerts
from connections.api import router as connections
from core import errors, failures, problems, strict_json
from core.schemas import UnsupportedMedia
from dgxsite import health
from dgxsite.openapi import DocumentedAPI
from exports.api import router as exports
from jobs.api.routes import queues
from jobs.api.routes import router as jobs
from jobs.compare.api import router as compare_jobs
from metrics.api import router as metrics
from metrics.api import this_machine_view
from metrics.compare.api import router as compare
from metrics.prometheus.api import router as prometheus
from notifications.api import router as notifications
from projects.api import router as projects
from usage.api import router as usage

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]


class StrictParser(Parser):
    """Bodies are JSON, say so, and hold nothing that PostgreSQL or a browser would refuse."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise UnsupportedMedia("Send the body as application/json.")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMedia("Send the body without compression.")
        return strict_json.loads(request.body)


def logged_in(view: View) -> View:
    """The documentation is for people and tokens that may log in; a browser is sent there."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            identify(request)
        except errors.Unauthorized as error:
            if "text/html" in request.headers.get("Accept", ""):
                return redirect("account_login")
            return problems.response(error)
        return view(request, *args, **kwargs)

    return wrapped


api = DocumentedAPI(
    title="dgxsite",
    version="1",
    urls_namespace="api",
    description="A team's GPU machines, over SSH alone.",
    auth=[ApiLogin()],
    parser=StrictParser(),
    docs=Swagger(settings={"persistAuthorization": False}),
    docs_decorator=logged_in,
)
api.add_router("/connections", connections)
api.add_router("/connections", metrics)
api.add_router("", prometheus)
api.add_router("", compare)
api.add_router("", people)
api.add_router("", notifications)
api.add_router("", alerts)
api.add_router("", exports)
api.add_router("/projects", projects)
api.add_router("/jobs", compare_jobs)  # before what takes any word for an id
api.add_router("/jobs", jobs)
api.add_router("/connections", queues)
api.add_router("", usage)


@api.exception_handler(errors.SiteError)
def _site_error(request: HttpRequest, error: Any) -> HttpResponse:
    return problems.response(error)


@api.exception_handler(AuthenticationError)
def _nobody(request: HttpRequest, error: Any) -> HttpResponse:
    return problems.response(errors.Unauthorized())


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    """Ninja wraps what the parser raises; the error inside says what is wrong."""
    if isinstance(error.__cause__, errors.SiteError):
        return problems.response(error.__cause__)
    return problems.problem(error.status_code, "error", "The request is refused", error.message)


@api.exception_handler(ValidationError)
def _validation_error(request: HttpRequest, error: Any) -> HttpResponse:
    """Bad input is 422; an id in the path that cannot be one is something that is not there."""
    if all(found["loc"][0] == "path" for found in error.errors):
        return problems.response(errors.NotFound())
    fields = problems.field_errors(error.errors)
    return problems.response(errors.Invalid(fields[0].message, errors=tuple(fields)))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return problems.response(errors.NotFound())


@api.exception_handler(Exception)
def _other(request: HttpRequest, error: Any) -> HttpResponse:
    """What `core.failures` knows, or a fault of ours."""
    place = f"{request.method} {request.path}"
    known = failures.known(error, place)
    if known is None:
        logger.error("%s failed", place, exc_info=error)
    return problems.response(known or errors.SiteError())


def as_problem(view: View) -> View:
    """Around a whole view: an unknown path and a wrong method are problems too."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            answer = view(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 (the top of the API: each kind has a handler)
            return api.on_exception(request, error)
        return _wrong_method(answer) if answer.status_code == 405 else answer

    # `ApiLogin` asks a session for its CSRF token itself, and answers with a problem.
    wrapped.csrf_exempt = True  # type: ignore[attr-defined]
    return wrapped


def _wrong_method(answer: HttpResponseBase) -> HttpResponse:
    refused = problems.response(errors.MethodNotAllowed("See the Allow header."))
    refused.headers["Allow"] = answer.headers["Allow"]
    return refused


def _unknown(request: HttpRequest) -> HttpResponse:
    return problems.response(errors.NotFound("There is no such address in the API."))


_unknown.csrf_exempt = True  # type: ignore[attr-defined]


def _patterns() -> list[URLPattern]:
    patterns, _, _ = api.urls
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        pattern.callback = as_problem(pattern.callback)
    return patterns  # type: ignore[return-value]


urlpatterns = [
    path("health", as_problem(health.view), name="health"),
    path("metrics", as_problem(this_machine_view), name="api_this_machine"),
    path("v1/", (_patterns(), "ninja", "api")),
    re_path(r"", _unknown),
]
