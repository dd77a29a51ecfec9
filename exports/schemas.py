"""The grammar of what clients ask of exports, and the shape of what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, StringConstraints

from core.openapi import Choice, Instant
from core.schemas import Input, Output, Printable, ZonelessMoment
from exports.models import State

Format = Annotated[Literal["csv", "json", "parquet", "sqlite"], Choice("ExportFormat")]
RangeName = Annotated[Literal["24h", "7d", "30d", "12m"], Choice("ExportRange")]
Kind = Annotated[Literal["dual", "range"], Choice("ExportKind")]
Tier = Annotated[Literal["raw", "hourly", "daily"], Choice("Tier")]
Gpu = Annotated[StrictStr, StringConstraints(max_length=10), Printable]


class RangeQuery(BaseModel):
    """What a range export holds: a named range, or a span and perhaps its tier."""

    model_config = ConfigDict(frozen=True)

    range: RangeName | None = None
    start: ZonelessMoment | None = None
    end: ZonelessMoment | None = None
    tier: Tier | None = None
    format: Format = "csv"
    gpu: Gpu = "all"


class ExportIn(Input):
    """A dual export, or with `kind="range"` a range as a file of the site."""

    kind: Kind = "dual"
    range: RangeName | None = None
    format: Format = "json"
    remote_directory: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None


class ScheduleIn(Input):
    """When to export what; `cron` is hourly, daily, weekly or five fields, in UTC."""

    connection_id: UUID
    kind: Kind
    range: RangeName | None = None
    format: Format = "json"
    cron: Annotated[StrictStr, StringConstraints(max_length=200), Printable]
    keep_days: Annotated[StrictInt, Field(ge=1, le=3650)] = 90
    keep_count: Annotated[StrictInt, Field(ge=1, le=1000)] = 30


class SideOut(Output):
    ok: bool | None
    path: str | None
    bytes: int | None
    sha256: str | None
    error: str | None


class ExportOut(Output):
    id: UUID
    connection_id: UUID
    schedule_id: UUID | None
    kind: Kind
    range: RangeName | None
    format: Format
    state: Annotated[str, Choice("ExportState", State.values)]
    filename: str | None
    size_bytes: int | None
    rows: int | None
    bytes_done: int
    bytes_total: int | None
    sha256: str | None
    local: SideOut
    remote: SideOut | None
    downloadable: bool
    duration_ms: int | None
    requested_by: str | None
    created_at: Instant
    finished_at: Instant | None


class ExportList(Output):
    items: list[ExportOut]
    count: int


class ScheduleOut(Output):
    id: UUID
    connection_id: UUID
    kind: Kind
    range: RangeName | None
    format: Format
    cron: str
    next_run_at: Instant
    keep_days: int
    keep_count: int
    created_by: str | None
    # Why it makes nothing for now, or made nothing at its last turn; null as long as it works.
    rests_because: str | None
    created_at: Instant


class ScheduleList(Output):
    items: list[ScheduleOut]
    count: int
