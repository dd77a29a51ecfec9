"""Reading the ledger: what was used in a span, added up by one of the groupings.

Days answer for the whole days of a span, hours and minutes for what is left at its ends; they never
overlap. Only the machines of a `Scope` are read, so whoever made it has asked who may see them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql

from connections.models import Connection
from core.pagination import Page
from metrics.history.query import Span
from metrics.models import Machine
from usage.grouping import GROUPINGS, KEYS, Grouping
from usage.tables import NUMBERS

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)

# What a person sees under the ledger's number of a machine.
Scope = Mapping[int, Connection]


def scope(rows: QuerySet[Connection]) -> Scope:
    """These machines by the number under which the ledger keeps them."""
    machines = Machine.objects.filter(connection__in=rows).select_related("connection")
    return {machine.pk: machine.connection for machine in machines}


@dataclass(frozen=True, slots=True)
class Line:
    """One group. Seconds, bytes, watt-hours; None: not told, or not a key of the grouping.

    `held_seconds` is how long owners held memory, each counted in full; `share_seconds` their
    part of the GPUs' time, `free_seconds` nobody's part of it, `busy_seconds` the time weighted
    by utilisation, `idle_seconds` how long owners held memory idly. Energy is everybody's.
    """

    user: str | None
    container: str | None
    is_nobody: bool | None
    machine: int | None
    gpu: int | None
    start: datetime | None
    held_seconds: float
    share_seconds: float
    free_seconds: float
    busy_seconds: float | None
    idle_seconds: float | None
    memory_max_bytes: float | None
    energy_wh: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A part of the lines, how many there are in all, and the sum of all."""

    lines: Sequence[Line]
    count: int
    total: Line


_USED: LiteralString = "FILTER (WHERE NOT o.is_nobody)"
# In float8: the sum of many `real` numbers in `real` would lose what is added last.
_NUMBERS: Mapping[str, LiteralString] = {
    "held_seconds": f"COALESCE(sum(r.seconds::float8) {_USED}, 0)",
    "share_seconds": f"COALESCE(sum(r.share_seconds::float8) {_USED}, 0)",
    "free_seconds": "COALESCE(sum(r.share_seconds::float8) FILTER (WHERE o.is_nobody), 0)",
    "busy_seconds": "sum(r.busy_seconds::float8)",
    "idle_seconds": "sum(r.idle_seconds::float8)",
    "memory_max_bytes": "max(r.memory_max_bytes)::float8",
    "energy_wh": "sum(r.energy_wh::float8)",
}
_TOTALS: Mapping[str, LiteralString] = dict.fromkeys(_NUMBERS, "sum({})") | {
    "held_seconds": "COALESCE(sum({}), 0)",
    "share_seconds": "COALESCE(sum({}), 0)",
    "free_seconds": "COALESCE(sum({}), 0)",
    "memory_max_bytes": "max({})",
}
assert [field.name for field in fields(Line)] == [*KEYS, *_NUMBERS]

# Table, and the names of the parameters between which its rows are taken.
_PARTS: Sequence[tuple[str, str, str]] = (
    ("usage_minute", "start", "first_hour"),
    ("usage_hour", "first_hour", "first_day"),
    ("usage_day", "first_day", "last_day"),
    ("usage_hour", "last_day", "last_hour"),
    ("usage_minute", "last_hour", "end"),
)
_PART = sql.SQL("""
  SELECT {names} FROM {table} WHERE machine = ANY(%(machines)s) AND at >= {start} AND at < {end}
""")
_ROW = ("at", "machine", "owner", "gpu", *NUMBERS)
# Rows `r` of the span; its parameters are those of `parameters`.
ROWS = sql.SQL("r AS ({})").format(
    sql.SQL(" UNION ALL ").join(
        _PART.format(
            names=sql.SQL(", ").join(map(sql.Identifier, _ROW)),
            table=sql.Identifier(table),
            start=sql.Placeholder(start),
            end=sql.Placeholder(end),
        )
        for table, start, end in _PARTS
    )
)
# One row has the number of lines and is their total.
_QUERY = sql.SQL("""
WITH {rows}, g AS MATERIALIZED (
  SELECT {keys}, {numbers} FROM r JOIN usage_owner o ON o.id = r.owner GROUP BY 1, 2, 3, 4, 5, 6
), page AS (
  SELECT * FROM g ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
)
SELECT count(*), {no_keys}, {totals} FROM g
UNION ALL SELECT NULL::bigint, page.* FROM page
""")


def parameters(machines: Scope, span: Span) -> dict[str, Any]:
    """What `ROWS` needs: the whole hours inside of the span, and the whole days inside of those."""
    first_hour, last_hour = _whole(span.start, span.end, _HOUR)
    first_day, last_day = _whole(first_hour, last_hour, _DAY)
    return {
        "machines": list(machines),
        "start": span.start,
        "first_hour": first_hour,
        "first_day": first_day,
        "last_day": last_day,
        "last_hour": last_hour,
        "end": span.end,
    }


def _whole(start: datetime, end: datetime, unit: timedelta) -> tuple[datetime, datetime]:
    """The whole units between the two; none, at the end, where there is none."""
    first = start + (_ZERO - start) % unit
    last = end - (end - _ZERO) % unit
    return (first, last) if first < last else (end, end)


def report(machines: Scope, span: Span, group_by: str, page: Page | None) -> Report:
    """What was used on these machines; `group_by` is a name of `GROUPINGS`, None is every line."""
    part = {"limit": page.limit, "offset": page.offset} if page else {"limit": None, "offset": 0}
    values = parameters(machines, span) | part
    with connection.cursor() as cursor:
        cursor.execute(_query(GROUPINGS[group_by]), values)
        rows = cursor.fetchall()
    [(count, *total)] = [row for row in rows if row[0] is not None]
    return Report([Line(*row[1:]) for row in rows if row[0] is None], count, Line(*total))


def _query(grouping: Grouping) -> sql.Composed:
    absent = {name: f"NULL::{kind}" for name, kind in KEYS.items()}
    totals = {name: form.format(name) for name, form in _TOTALS.items()}
    return _QUERY.format(
        rows=ROWS,
        keys=_columns({**absent, **grouping.keys}),
        numbers=_columns(_NUMBERS),
        order=sql.SQL(grouping.order),
        no_keys=_columns(absent),
        totals=_columns(totals),
    )


def _columns(expressions: Mapping[str, LiteralString]) -> sql.Composed:
    parts = [
        sql.SQL("{} AS {}").format(sql.SQL(expression), sql.Identifier(name))
        for name, expression in expressions.items()
    ]
    return sql.SQL(", ").join(parts)
