"""What browsers report about the content security policy: one log line each, nothing else kept.

Anybody may post here, and a report repeats what stood on a page. So a body has 16 KiB, a process
writes 30 lines in a minute, the answer is always 204, and of a report only five short facts reach
the log. Never logged: addresses with their values (a set-up or invitation link is a secret), query
strings, referrers, samples of the page's code, and fields that we do not know.

Formats: CSP Level 3 (`report-uri`, `application/csp-report`) and Reporting API
(`report-to`, `application/reports+json`), https://www.w3.org/TR/CSP3/#reporting
"""

import logging
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core import strict_json
from core.errors import SiteError

logger = logging.getLogger(__name__)

LIMIT_BYTES = 16 * 1024
REPORTS_PER_BODY = 10
LINES_PER_MINUTE = 30
_FACT_CHARACTERS = 100
# What a browser says in place of an address; anything else without a host is not repeated.
_KEYWORDS = frozenset({"inline", "eval", "wasm-eval", "self", "data", "blob", "trusted-types-sink"})
_VIOLATION = "csp-violation"
_DISPOSITIONS = frozenset({"enforce", "report"})


class Budget:
    """How many lines this process may still write in the running minute; safe in threads.

    One for all callers: an address is easily changed, and the log is what has to be protected.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._minute, self._used = -1, 0

    def take(self, now: float) -> tuple[bool, int]:
        """Whether one more line is allowed, and how many the minute before had too many."""
        with self._lock:
            minute, missed = int(now // 60), 0
            if minute != self._minute:
                missed = max(0, self._used - self._per_minute)
                self._minute, self._used = minute, 0
            self._used += 1
            return self._used <= self._per_minute, missed


_budget = Budget(LINES_PER_MINUTE)


@csrf_exempt  # the browser sends it by itself, without a token
@require_POST
def view(request: HttpRequest) -> HttpResponse:
    """204, whatever was sent: who reports learns nothing here."""
    body = request.read(LIMIT_BYTES + 1)
    if len(body) <= LIMIT_BYTES:
        for report in _reports(body)[:REPORTS_PER_BODY]:
            _log(report)
    return HttpResponse(status=204)


def _reports(body: bytes) -> list[dict[str, Any]]:
    """The violations of either format, with the Reporting API's names; empty for anything else."""
    try:
        sent = strict_json.loads(body)
    except SiteError:
        return []
    if isinstance(sent, dict) and isinstance(old := sent.get("csp-report"), dict):
        return [
            {
                "effectiveDirective": old.get("effective-directive")
                or old.get("violated-directive"),
                "blockedURL": old.get("blocked-uri"),
                "documentURL": old.get("document-uri"),
                "disposition": old.get("disposition"),
                "lineNumber": old.get("line-number"),
            }
        ]
    if not isinstance(sent, list):
        return []
    violations = [one for one in sent if isinstance(one, dict) and one.get("type") == _VIOLATION]
    return [one["body"] for one in violations if isinstance(one.get("body"), dict)]


def _log(report: dict[str, Any]) -> None:
    allowed, missed = _budget.take(time.monotonic())
    if missed:
        logger.warning("%d more policy reports came in a minute than are logged", missed)
    if not allowed:
        return
    logger.warning(
        "page broke its policy: directive=%s blocked=%s route=%s line=%s disposition=%s",
        _directive(report.get("effectiveDirective")),
        _origin(report.get("blockedURL")),
        _route(report.get("documentURL")),
        _number(report.get("lineNumber")),
        _one_of(report.get("disposition"), _DISPOSITIONS),
    )


def _directive(value: Any) -> str:
    """The directive's name; CSP Level 2 sent its values as well."""
    name = value.split(" ")[0] if isinstance(value, str) else ""
    letters = name.replace("-", "")
    return name if len(name) < 40 and letters.isascii() and letters.isalpha() else "unknown"


def _origin(value: Any) -> str:
    """Scheme and host of what was blocked, or the keyword for it; no path and no query."""
    if not isinstance(value, str):
        return "unknown"
    if value in _KEYWORDS:
        return value
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "unknown"
    if not host:
        return f"{parts.scheme}:" if parts.scheme in _KEYWORDS else "unknown"
    place = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return place[:_FACT_CHARACTERS]


def _route(value: Any) -> str:
    """The page's route with the names of its values in place of them."""
    try:
        path = urlsplit(value).path if isinstance(value, str) else ""
        return f"/{resolve(path).route}"
    except (ValueError, Resolver404):
        return "unknown"


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) and 0 <= value < 10_000_000 else "unknown"


def _one_of(value: Any, known: frozenset[str]) -> str:
    return value if isinstance(value, str) and value in known else "unknown"
