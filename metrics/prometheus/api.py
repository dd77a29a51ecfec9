"""`GET /api/v1/prometheus`: every machine that the caller may see, for a scraper with a token."""

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Router

from accounts.auth.callers import caller_of
from connections import services
from core.openapi import raises, text
from metrics.live import store as live_store
from metrics.prometheus import exposition

router = Router(tags=["metrics"])


@router.get(
    "/prometheus",
    openapi_extra=text(exposition.CONTENT_TYPE) | raises(live_store.RedisUnavailable),
)
def get_prometheus_text(request: HttpRequest) -> HttpResponse:
    """The latest samples as Prometheus text; 503 while Redis is down, which shows as a gap."""
    rows = list(services.visible(caller_of(request)).order_by("name", "pk"))
    samples = live_store.latest_json([row.pk for row in rows], strict=True)
    machines = [(row, _sample(samples.get(row.pk))) for row in rows]
    return HttpResponse(exposition.text(machines), content_type=exposition.CONTENT_TYPE)


def _sample(body: bytes | None) -> exposition.Sample | None:
    return None if body is None else orjson.loads(body)
