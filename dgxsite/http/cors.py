"""Which foreign pages may read this machine: those of `DGX_CORS_ORIGINS`, and nothing else here.

Only `GET /api/metrics` (here) and `/ws/metrics/` (`dgxsite.sockets.consumers`) answer them. The
caller logs in as always: with a token, or with a session where the browser sends its cookie along,
which it does between sites of one domain.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

Handler = Callable[[HttpRequest], HttpResponse]

PATH = "/api/metrics"
_PREFLIGHT_SECONDS = "600"


class ForeignReaders:
    """Answers preflights, and tells the browser who may read the answer."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path != PATH or not settings.CORS_ORIGINS:
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        is_known = origin in settings.CORS_ORIGINS
        if is_known and _is_preflight(request):
            response = HttpResponse(status=204)
            response.headers["Access-Control-Allow-Methods"] = "GET"
            response.headers["Access-Control-Allow-Headers"] = "Authorization"
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        else:
            response = self.get_response(request)
        if is_known:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
        patch_vary_headers(response, ["Origin"])
        return response


def _is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
