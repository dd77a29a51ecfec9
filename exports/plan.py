"""What one range export is to hold, decided before the first byte: span, tier, columns, file name.

Everything a file needs stands in the plan, so that making it is only reading and writing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from connections.models import Connection
from core.errors import Invalid
from core.numbers import whole
from core.times import iso
from exports.columns import BANDS, PLAIN, Column, units
from metrics.history import query as history_query
from metrics.history.tiers import DAILY, HOURLY, RAW, Tier

FORMATS = ("csv", "json", "parquet", "sqlite")
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "sqlite": "application/vnd.sqlite3",
}
_COMPACT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Range:
    """A named range: how far back it goes, from which tier, and whether with least and greatest."""

    length: timedelta
    tier: Tier
    columns: Sequence[Column]


RANGES: Mapping[str, Range] = {
    "24h": Range(timedelta(hours=24), RAW, PLAIN),
    "7d": Range(timedelta(days=7), HOURLY, PLAIN),
    "30d": Range(timedelta(days=30), HOURLY, BANDS),
    "12m": Range(timedelta(days=365), DAILY, BANDS),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One export. Which end belongs to it follows from the tier
    (`metrics.history.query.rows_sql`)."""

    connection_id: UUID
    connection_name: str
    range: str
    start: datetime
    end: datetime
    tier: Tier
    columns: Sequence[Column]
    format: str
    exported_at: datetime
    gpu: int | None = None

    @property
    def filename(self) -> str:
        """ASCII without blanks, whatever the machine's name is."""
        span = self.range
        if span not in RANGES:
            span = f"{self.start:{_COMPACT}}_{self.end:{_COMPACT}}"
        day = f"{self.exported_at:%Y-%m-%d}"
        return f"{self.connection_id}-metrics-{span}-{day}.{self.format}"

    def described(self) -> dict[str, Any]:
        """All that a JSON file says beside its data points."""
        return {
            "server_id": str(self.connection_id),
            "server_name": self.connection_name,
            "range": self.range,
            "exported_at": iso(self.exported_at),
            "tier": self.tier.name,
            "resolution_seconds": self.tier.resolution_seconds,
            "units": units(self.columns),
        }


def of_range(
    connection: Connection, name: str, format_: str, now: datetime, gpu: int | None = None
) -> Plan:
    """The plan of a named range that ends now; `Invalid` for a range that does not exist."""
    chosen = RANGES.get(name)
    if chosen is None:
        raise Invalid.field("range", f"Choose one of {', '.join(RANGES)}, or give start and end.")
    span = history_query.Span(now - chosen.length, now)
    return _plan(connection, name, span, chosen.tier, chosen.columns, format_, now, gpu)


def of_span(
    connection: Connection,
    span: history_query.Span,
    tier: Tier,
    format_: str,
    now: datetime,
    gpu: int | None = None,
) -> Plan:
    """The plan of a span of one's own; raw rows have one value, the others also a band."""
    columns = PLAIN if tier is RAW else BANDS
    label = f"{iso(span.start)}/{iso(span.end)}"
    return _plan(connection, label, span, tier, columns, format_, now, gpu)


def gpu_of(text: str) -> int | None:
    """The index that `gpu=` names; None for all of them. `Invalid` for anything else."""
    if text in ("", "all"):
        return None
    gpu = whole(text, 9999)
    if gpu is None:
        raise Invalid.field("gpu", "Give “all” or the index of a GPU.")
    return gpu


def _plan(
    connection: Connection,
    label: str,
    span: history_query.Span,
    tier: Tier,
    columns: Sequence[Column],
    format_: str,
    now: datetime,
    gpu: int | None,
) -> Plan:
    if format_ not in FORMATS:
        raise Invalid.field("format", f"Choose one of {', '.join(FORMATS)}.")
    start, end = (moment.astimezone(UTC) for moment in span)
    return Plan(connection.pk, connection.name, label, start, end, tier, columns, format_, now, gpu)
