"""Who holds GPU memory without using it: now, and how long over a span.

Idle is what `usage/attribution.py` calls idle: at least 500 MiB held while the GPU is below 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from psycopg import sql

from core.pagination import Page
from metrics.history.query import Span
from usage.report import ROWS, Scope, parameters

# A keeper writes a minute within half a minute after its end; older is not "now".
FRESH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Holder:
    """One owner on one GPU. `since` and `memory_bytes` only while it is idle now."""

    machine: int
    gpu: int
    user: str | None
    container: str | None
    since: datetime | None
    memory_bytes: float | None
    idle_seconds: float  # within the span


@dataclass(frozen=True, slots=True)
class Holders:
    """A part of them, longest idle first, and how many there are in all."""

    items: Sequence[Holder]
    count: int


_QUERY = sql.SQL("""
WITH {rows}, held AS (
  SELECT machine, gpu, owner, sum(idle_seconds::float8) AS idle_seconds
  FROM r WHERE idle_seconds > 0 GROUP BY machine, gpu, owner
), newest AS (
  SELECT machine, max(at) AS at FROM usage_minute
  WHERE machine = ANY(%(machines)s) AND at >= %(fresh)s AND at <= %(now)s GROUP BY machine
), idle AS (
  SELECT machine, gpu, owner, idle_since, memory_mean_bytes
  FROM usage_minute JOIN newest USING (machine, at) WHERE idle_since IS NOT NULL
), found AS (
  SELECT machine, gpu, o.user, o.container, idle_since, memory_mean_bytes::float8,
    COALESCE(idle_seconds, 0) AS idle_seconds
  FROM held FULL JOIN idle USING (machine, gpu, owner) JOIN usage_owner o ON o.id = owner
  WHERE idle_since IS NOT NULL OR NOT %(only_now)s
), page AS (
  SELECT * FROM found ORDER BY idle_since NULLS LAST, idle_seconds DESC, machine, gpu
  LIMIT %(limit)s OFFSET %(offset)s
)
SELECT (SELECT count(*) FROM found), page.* FROM (SELECT 1) one LEFT JOIN page ON true
""").format(rows=ROWS)


def holders(
    machines: Scope, span: Span, now: datetime, page: Page, *, only_now: bool = False
) -> Holders:
    """Who held memory idly within the span, or does now; with `only_now` those alone."""
    values = parameters(machines, span) | {
        "now": now,
        "fresh": now - FRESH,
        "only_now": only_now,
        "limit": page.limit,
        "offset": page.offset,
    }
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, values)
        rows = cursor.fetchall()
    return Holders([Holder(*row[1:]) for row in rows if row[1] is not None], rows[0][0])
