"""The grammar of what clients ask of exports, and the shape of what they get."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Format = Literal["csv", "json", "parquet", "sqlite"]
RangeName = Literal["24h", "7d", "30d", "12m"]
Gpu = Annotated[str, StringConstraints(max_length=10)]


class RangeQuery(BaseModel):
    """What a range export holds: a named range, or a span and perhaps its tier."""

    model_config = ConfigDict(frozen=True)

    range: RangeName | None = None
    start: datetime | None = None
    end: datetime | None = None
    tier: Literal["raw", "hourly", "daily"] | None = None
    format: Format = "csv"
    gpu: Gpu = "all"
