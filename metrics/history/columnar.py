"""A slice of the history as the API answers it: JSON in columns, small on the wire.

Numbers are rounded to what means something in their unit, which halves the answer; who needs every
digit takes the export. It may be compressed: it holds no secret and nothing that the client sent,
so its length betrays nothing (BREACH).
"""

import gzip
from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from metrics.history.catalogue import METRICS, Unit
from metrics.history.query import Slice

# Digits after the point.
_DECIMALS: Mapping[Unit, int] = {
    "percent": 2,
    "celsius": 2,
    "watts": 2,
    "bytes": 0,
    "bytes_per_second": 0,
    "mhz": 1,
    "share": 4,
    "load": 3,
}
DIGITS = {metric.name: _DECIMALS[metric.unit] for metric in METRICS}
# ISO 8601 in UTC; steps begin on whole seconds.
_TIMES = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
# Level 6 takes six times as long for an eighth less.
_GZIP_LEVEL = 1


def as_dict(found: Slice) -> dict[str, Any]:
    """`tier`, `resolution_seconds`, and `series`, the times beside its columns."""
    return {
        "tier": found.tier.name,
        "resolution_seconds": found.resolution_seconds,
        "series": {"timestamp": found.timestamps, **found.series},
    }


def response(request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
    """`body` as JSON, by gzip where the client takes it."""
    text = orjson.dumps(body, option=_TIMES)
    answer = HttpResponse(content_type="application/json")
    patch_vary_headers(answer, ["Accept-Encoding"])
    if accepts_gzip(request.headers.get("Accept-Encoding", "")):
        text = gzip.compress(text, _GZIP_LEVEL, mtime=0)
        answer["Content-Encoding"] = "gzip"
    answer.content = text
    return answer


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip, or everything, and does not refuse it."""
    weights = dict(_weights(header))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.lower().split(","):
        coding, _, parameter = part.partition(";")
        _, _, text = parameter.partition("q=")
        try:
            found.append((coding.strip(), float(text or 1)))
        except ValueError:
            continue  # what cannot be read is not asked for
    return found
