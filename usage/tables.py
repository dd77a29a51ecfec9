"""The ledger's tables as records, and how a minute is added to its hour and its day."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import LiteralString

from psycopg import sql

from metrics.history import partitions
from metrics.history.partitions import Table
from usage.models import UsageSettings

# How a minute's number is added to the sum `h`.
_SUM = "h.{0} + EXCLUDED.{0}"
_SUM_OF_TOLD = "COALESCE(h.{0} + EXCLUDED.{0}, h.{0}, EXCLUDED.{0})"
_MEAN = (
    "COALESCE((h.{0} * h.seconds + EXCLUDED.{0} * EXCLUDED.seconds)"
    " / (h.seconds + EXCLUDED.seconds), h.{0}, EXCLUDED.{0})"
)
_GREATEST = "GREATEST(h.{0}, EXCLUDED.{0})"
_MERGES: Mapping[str, LiteralString] = {
    "seconds": _SUM,
    "share_seconds": _SUM,
    "busy_seconds": _SUM_OF_TOLD,
    "gpu_busy_seconds": _SUM_OF_TOLD,
    "idle_seconds": _SUM_OF_TOLD,
    "memory_mean_bytes": _MEAN,
    "memory_max_bytes": _GREATEST,
    "energy_wh": _SUM_OF_TOLD,
}
NUMBERS = tuple(_MERGES)

_KEY = ("machine", "owner", "gpu")

MINUTES = Table("usage_minute", ("at", "idle_since", *_KEY), NUMBERS, "month")
HOURS = Table("usage_hour", ("at", *_KEY), NUMBERS, "month")
DAYS = Table("usage_day", ("at", *_KEY), NUMBERS, "year")
TABLES: Sequence[Table] = (MINUTES, HOURS, DAYS)

_ADD = sql.SQL("""
INSERT INTO {table} AS h (at, machine, owner, gpu, {numbers})
SELECT date_trunc({unit}, at, 'UTC'), machine, owner, gpu, {numbers}
FROM usage_minute WHERE at = %s AND machine = ANY(%s)
ORDER BY machine, gpu, owner
ON CONFLICT (machine, at, gpu, owner) DO UPDATE SET {merges}
""")


def _add_to(table: Table, unit: str) -> sql.Composed:
    merges = [sql.SQL("{0} = " + how).format(sql.Identifier(n)) for n, how in _MERGES.items()]
    return _ADD.format(
        table=sql.Identifier(table.name),
        unit=sql.Literal(unit),
        numbers=sql.SQL(", ").join(map(sql.Identifier, NUMBERS)),
        merges=sql.SQL(", ").join(merges),
    )


# Parameters: the minute's start, and machines whose minute was written just now.
ADD_TO_SUMS: Sequence[sql.Composed] = (_add_to(HOURS, "hour"), _add_to(DAYS, "day"))


def ensure_days(days: Sequence[date]) -> int:
    """Make the partitions of these days; how many were missing."""
    return sum(partitions.ensure(table, days) for table in TABLES)


def ensure_partitions(today: date) -> int:
    """Make the partitions of the days to come; how many were missing."""
    return ensure_days(partitions.ahead(today))


def drop_expired(today: date) -> list[str]:
    """Drop the months that the site's settings no longer keep; their names."""
    limit = today - timedelta(days=UsageSettings.load().keep_days)
    return [name for table in TABLES for name in partitions.drop(table, limit)]
