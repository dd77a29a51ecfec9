"""The grammar of what clients ask of exports, and the shape of what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, StringConstraints

from core.schemas import Input, Output, Printable, ZonelessMoment

Format = Literal["csv", "json", "parquet", "sqlite"]
RangeName = Literal["24h", "7d", "30d", "12m"]
Gpu = Annotated[StrictStr, StringConstraints(max_length=10), Printable]


class RangeQuery(BaseModel):
    """What a range export holds: a named range, or a span and perhaps its tier."""

    model_config = ConfigDict(frozen=True)

    range: RangeName | None = None
    start: ZonelessMoment | None = None
    end: ZonelessMoment | None = None
    tier: Literal["raw", "hourly", "daily"] | None = None
    format: Format = "csv"
    gpu: Gpu = "all"


class ExportIn(Input):
    """A dual export, or with `kind="range"` a range as a file of the site."""

    kind: Literal["dual", "range"] = "dual"
    range: RangeName | None = None
    format: Format = "json"
    remote_directory: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None


class ScheduleIn(Input):
    """When to export what; `cron` is hourly, daily, weekly or five fields, in UTC."""

    connection_id: UUID
    kind: Literal["dual", "range"]
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
    kind: str
    range: str | None
    format: str
    state: str
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
    created_at: str
    finished_at: str | None


class ExportList(Output):
    items: list[ExportOut]
    count: int


class ScheduleOut(Output):
    id: UUID
    connection_id: UUID
    kind: str
    range: str | None
    format: str
    cron: str
    next_run_at: str
    keep_days: int
    keep_count: int
    created_by: str | None
    # Why it makes nothing for now, or made nothing at its last turn; null as long as it works.
    rests_because: str | None
    created_at: str


class ScheduleList(Output):
    items: list[ScheduleOut]
    count: int
