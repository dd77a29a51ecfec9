"""The bytes of an export that becomes a file, from what the site knows; no machine is asked.

A named range has at most a few thousand rows, so the file is held in memory: both sides of a dual
export send the same bytes.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection as database
from psycopg import sql

from core.times import iso
from exports import dual, formats, plan, rows
from exports.models import Export, Kind
from metrics.live import store as live_store

# What a dual export has of the history.
DUAL_RANGE = "24h"


@dataclass(frozen=True, slots=True)
class File:
    """`rows` are those of the history in it."""

    name: str
    data: bytes
    rows: int


def build(export: Export, now: datetime) -> File:
    """The file for this row as of `now`; raises what the database raises."""
    is_dual = export.kind == Kind.DUAL
    range_ = DUAL_RANGE if is_dual else export.range
    wanted = plan.of_range(export.connection, range_, export.format, now)
    selected = rows.select(wanted)
    name = dual_name(export, now) if is_dual else wanted.filename
    if is_dual and export.format == "json":
        data = _document(export, now, selected)
    else:
        data = asyncio.run(formats.collected(formats.body(wanted, selected)))
    return File(name, data, _count(selected))


def dual_name(export: Export, now: datetime) -> str:
    """`dgx-metrics-ID-TIME`, the time in UTC with milliseconds and no sign that a disk minds."""
    stamp = str(iso(now.astimezone(UTC))).replace(":", "-").replace(".", "-")
    return f"dgx-metrics-{export.connection_id}-{stamp}.{export.format}"


def _document(export: Export, now: datetime, selected: sql.Composed) -> bytes:
    points = asyncio.run(formats.collected(formats.points(selected)))
    recent = live_store.recent(export.connection_id)
    session = live_store.session(export.connection_id)
    return dual.document(export.connection, now, recent, session, points)


def _count(selected: sql.Composed) -> int:
    with database.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM ({}) AS kept").format(selected))
        (count,) = cursor.fetchone()
        return int(count)
