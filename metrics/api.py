"""The newest readings and the history over the REST API, and this machine's own.

The schemas are for the document: what is answered was encoded before and is passed on as it is.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, StrictStr, StringConstraints

from accounts.auth.callers import caller_of, identify
from connections import services
from core.errors import Invalid, NotFound
from core.openapi import raises
from core.pagination import Page
from core.schemas import Printable, Words, ZonelessMoment
from metrics import schemas
from metrics.collectors.this_machine import this_machine
from metrics.history import columnar
from metrics.history import query as history_query
from metrics.live import store as live_store

# The index of a GPU as a column holds it.
_GREATEST_INDEX = 32_767

router = Router(tags=["metrics"])


class NoSample(NotFound):
    code = "no_sample"


@router.get(
    "/{connection_id}/metrics",
    response=schemas.SampleOut,
    openapi_extra=raises(NoSample, live_store.RedisUnavailable),
)
def get_latest_sample(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The latest sample; 404 `no_sample` before the first."""
    row = services.find(caller_of(request), connection_id, "metrics.view")
    found = live_store.latest_json([row.pk], strict=True).get(row.pk)
    if found is None:
        raise NoSample("Nothing has been read from this machine yet.")
    # The keeper has written it as JSON already.
    return HttpResponse(found, content_type="application/json")


@router.get(
    "/{connection_id}/metrics/recent",
    response=schemas.SampleList,
    openapi_extra=raises(live_store.RedisUnavailable),
)
def list_recent_samples(
    request: HttpRequest, connection_id: UUID, page: Query[Page]
) -> HttpResponse:
    """The last 60 samples, oldest first."""
    row = services.find(caller_of(request), connection_id, "metrics.view")
    samples = live_store.recent(row.pk, strict=True)
    part = samples[page.offset : page.offset + page.limit]
    body: dict[str, Any] = {"items": part, "count": len(samples)}
    return HttpResponse(orjson.dumps(body), content_type="application/json")


class HistoryQuery(BaseModel):
    """Which part of the history is asked for, and in how many steps at most."""

    model_config = ConfigDict(frozen=True)

    range: Annotated[Words, schemas.HistoryRange] | None = None
    start: ZonelessMoment | None = None
    end: ZonelessMoment | None = None
    gpu: Literal["all"] | Annotated[int, Field(ge=0, le=_GREATEST_INDEX)] = "all"
    max_points: Annotated[int, Field(ge=1, le=history_query.MOST_POINTS)] = 1500
    metrics: Annotated[StrictStr, StringConstraints(max_length=5000), Printable] | None = None


@router.get("/{connection_id}/metrics/history", response=schemas.HistoryOut)
def get_metrics_history(
    request: HttpRequest, connection_id: UUID, asked: Query[HistoryQuery]
) -> HttpResponse:
    """Mean, least and greatest of every series in equal steps; a step without readings is null."""
    row = services.find(caller_of(request), connection_id, "metrics.view")
    span = history_query.window(asked.range, asked.start, asked.end, datetime.now(UTC))
    gpu = None if asked.gpu == "all" else asked.gpu
    found = history_query.slice(
        row.pk,
        span,
        gpu=gpu,
        max_points=asked.max_points,
        metrics=_names(asked.metrics),
        digits=columnar.DIGITS,
    )
    return columnar.response(request, columnar.as_dict(found))


def _names(text: str | None) -> list[str] | None:
    """The series that are asked for, by name with commas between; None for all of them."""
    if text is None:
        return None
    names = text.split(",")
    if unknown := [name for name in names if name not in columnar.DIGITS]:
        raise Invalid.field("metrics", f"There is no series {', '.join(unknown)[:100]}.")
    return names


def this_machine_view(request: HttpRequest) -> HttpResponseBase:
    """`GET /api/metrics`: the machine that this web process runs on, for any log-in."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    identify(request)
    return HttpResponse(orjson.dumps(this_machine()), content_type="application/json")
