"""Machines beside each other over the REST API, and what is marked behind a machine's charts."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, StrictStr, StringConstraints

from accounts.auth.callers import caller_of
from connections import services
from core.errors import Invalid
from core.schemas import Printable, ZonelessMoment
from core.times import iso
from metrics import annotations
from metrics.compare import table
from metrics.history import columnar
from metrics.history import query as history_query
from metrics.schemas import CompareOut, MarkList

router = Router(tags=["metrics"])

# Twelve ids, or ranges of two long times, with room to spare.
_Text = Annotated[StrictStr, StringConstraints(min_length=1, max_length=2000), Printable]


class CompareQuery(BaseModel):
    """What is compared: every machine with every range and every GPU, by commas."""

    model_config = ConfigDict(frozen=True)

    connections: _Text
    ranges: _Text = history_query.DEFAULT_RANGE
    gpu: _Text = "all"
    max_points: Annotated[int, Field(ge=1, le=table.MOST_POINTS)] = 500


@router.get("/compare", response=CompareOut)
def compare_machines(request: HttpRequest, asked: Query[CompareQuery]) -> HttpResponse:
    """Curves, mean, p95, max and energy of each, aligned on their starts."""
    caller = caller_of(request)
    ids = [_id(text) for text in _parts(asked.connections)]
    rows = [services.find(caller, key, "metrics.view") for key in ids[: table.MOST_ITEMS + 1]]
    ranges, gpus = _parts(asked.ranges), _parts(asked.gpu)
    items = table.pairs(rows, ranges, gpus, datetime.now(UTC))
    found = table.compare(items, asked.max_points)
    return columnar.response(request, {"items": [table.as_dict(one) for one in found]})


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid.field("connections", f"{text[:40]!r} is no id of a machine.") from None


class MarksQuery(BaseModel):
    """The window whose marks are asked for; 24 hours without start and end."""

    model_config = ConfigDict(frozen=True)

    start: ZonelessMoment | None = None
    end: ZonelessMoment | None = None


@router.get("/connections/{connection_id}/metrics/marks", response=MarkList)
def list_marks(request: HttpRequest, connection_id: UUID, asked: Query[MarksQuery]) -> HttpResponse:
    """Stretches of time to mark behind the charts: alerts and what else apps provide."""
    row = services.find(caller_of(request), connection_id, "metrics.view")
    span = history_query.window(None, asked.start, asked.end, datetime.now(UTC))
    items = [_mark(one) for one in annotations.marks(row.pk, span.start, span.end)]
    body = orjson.dumps({"items": items, "count": len(items)})
    return HttpResponse(body, content_type="application/json")


def _mark(mark: annotations.Mark) -> dict[str, Any]:
    return asdict(mark) | {"start": iso(mark.start), "end": iso(mark.end)}
