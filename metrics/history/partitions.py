"""Tables that are split by time: their partitions are made ahead, and dropped when they are old.

There is no default partition: it would block making the proper one. A partition is attached, not
created in place, because attaching lets others go on writing; dropping waits for a lock at most two
seconds, so that nobody queues up behind it for longer, and tries again.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import LockNotAvailable

from core.background import claims
from core.web.waiting import outside_database

logger = logging.getLogger(__name__)

DAYS_AHEAD = 7
LOCK_TIMEOUT = "2s"
_ATTEMPTS = 5
# Two processes that make the same partitions wait for each other; the number is arbitrary but ours.
_ADVISORY_LOCK = 0x6467785F6D

Every = Literal["day", "month", "year"]


@dataclass(frozen=True, slots=True)
class Table:
    """One partitioned table: the columns of its key, those of its numbers, a partition's span."""

    name: str
    key: tuple[str, ...]
    numbers: tuple[str, ...]
    every: Every = "day"


@dataclass(frozen=True, slots=True)
class _Period:
    """How a span of the calendar begins, where the next one begins, and what it is called."""

    first: Callable[[date], date]
    following: Callable[[date], date]
    form: str


_PERIODS: Mapping[Every, _Period] = {
    "day": _Period(lambda day: day, lambda day: day + timedelta(days=1), "%Y%m%d"),
    "month": _Period(
        lambda day: day.replace(day=1),
        lambda first: (first + timedelta(days=32)).replace(day=1),
        "%Y%m",
    ),
    "year": _Period(
        lambda day: day.replace(month=1, day=1),
        lambda first: first.replace(year=first.year + 1),
        "%Y",
    ),
}


def ahead(today: date, days_ahead: int = DAYS_AHEAD) -> list[date]:
    """The days that need a partition, from the day before `today` on.

    The day before is there for readings that wait for a database that is down at midnight.
    """
    return [today + timedelta(days=offset) for offset in range(-1, days_ahead + 1)]


def ensure(table: Table, days: Iterable[date]) -> int:
    """Make the partitions in which these days lie; how many were missing."""
    period = _PERIODS[table.every]
    with transaction.atomic():
        claims.take_turn(_ADVISORY_LOCK)
        existing = set(names(table))
        firsts = sorted({period.first(day) for day in days})
        missing = [first for first in firsts if name_of(table, first) not in existing]
        for first in missing:
            _attach(table, first, period.following(first))
    return len(missing)


def _attach(table: Table, first: date, following: date) -> None:
    parent, partition = sql.Identifier(table.name), sql.Identifier(name_of(table, first))
    bounds = [sql.Literal(_midnight(day).isoformat()) for day in (first, following)]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS)").format(partition, parent)
        )
        cursor.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                parent, partition, *bounds
            )
        )


def expired(table: Table, older_than: date) -> list[str]:
    """The partitions that hold nothing but days before `older_than`, oldest first."""
    limit = name_of(table, older_than)
    return [name for name in names(table) if name < limit]


def drop(table: Table, older_than: date) -> list[str]:
    """Drop the expired partitions; the names of those that could be dropped.

    A partition that somebody reads for long is left to the next call and said in the log.
    """
    return [name for name in expired(table, older_than) if _drop(name)]


def _drop(name: str) -> bool:
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            return True
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            with outside_database():  # lets those through who queued behind us
                time.sleep(0.1 * 2**attempt)
    logger.warning("partition %s is in use and is dropped later", name)
    return False


def names(table: Table) -> list[str]:
    """The names of a table's partitions, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY c.relname",
            [table.name],
        )
        return [name for (name,) in cursor.fetchall()]


def name_of(table: Table, day: date) -> str:
    """The name of the partition in which a day lies; names sort like their days."""
    return f"{table.name}_{day.strftime(_PERIODS[table.every].form)}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
