"""What the API takes and answers about usage."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from core.openapi import Choice, Instant
from core.schemas import Moment, Output

GroupBy = Annotated[
    Literal["user", "container", "machine", "gpu", "week", "day"], Choice("UsageGroupBy")
]


class SpanQuery(BaseModel):
    """Which span: `range`, or `start` and `end` as ISO 8601 with a zone; seven days if neither."""

    model_config = ConfigDict(frozen=True)

    range: Annotated[Literal["24h", "7d", "30d", "12m"], Choice("UsageRange")] | None = None
    start: Moment | None = None
    end: Moment | None = None


class UsageQuery(SpanQuery):
    group_by: GroupBy = "user"


class IdleQuery(SpanQuery):
    now: Annotated[bool, Field(description="Only who holds memory idly at this moment.")] = False


class UsageNumbers(Output):
    """Hours, kWh and bytes; null: not told. `cost` is null while the site has no price."""

    held_hours: float
    gpu_hours: float
    free_gpu_hours: float
    busy_gpu_hours: float | None
    idle_hours: float | None
    memory_max_bytes: int | None
    energy_kwh: float | None
    cost: float | None


class UsageLine(UsageNumbers):
    """One group. `owner` says what `user` and `container` are: known, "unknown", or "nobody"."""

    owner: Annotated[Literal["known", "unknown", "nobody"], Choice("UsageOwner")] | None
    user: str | None
    container: str | None
    connection_id: UUID | None
    connection_name: str | None
    gpu: int | None
    start: Instant | None


class UsageList(Output):
    start: Instant
    end: Instant
    group_by: GroupBy
    currency: str | None
    price_per_kwh: float | None
    total: UsageNumbers
    items: list[UsageLine]
    count: int


class IdleHolder(Output):
    """`idle_since`, `idle_seconds` and `memory_bytes` are null for who is not idle any more."""

    connection_id: UUID
    connection_name: str
    gpu: int
    user: str | None
    container: str | None
    idle_since: Instant | None
    idle_seconds: int | None
    memory_bytes: int | None
    idle_hours: float


class IdleList(Output):
    start: Instant
    end: Instant
    items: list[IdleHolder]
    count: int
