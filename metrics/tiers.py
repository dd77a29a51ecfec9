"""The tables of the history: their days as partitions, made ahead and dropped when they are old.

There is no default partition: it would block making the proper one. A day is attached, not created
in place, because attaching lets others go on writing; dropping waits for a lock at most two
seconds, so that nobody queues up behind it for longer, and tries again.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import LockNotAvailable

from metrics.catalogue import GPU_METRICS, MACHINE_METRICS, columns

logger = logging.getLogger(__name__)

DAYS_AHEAD = 7
LOCK_TIMEOUT = "2s"
_ATTEMPTS = 5
# Two processes that make the same days wait for each other; the number is arbitrary but ours.
_ADVISORY_LOCK = 0x6467785F6D


@dataclass(frozen=True, slots=True)
class Tier:
    """One partitioned table: its key, its numbers, and how many days it keeps."""

    table: str
    key: Sequence[str]
    numbers: Sequence[str]
    keep_days: int


MACHINES = Tier(
    "metrics_raw_machine", ("at", "machine", "readings"), columns(MACHINE_METRICS), keep_days=14
)
GPUS = Tier(
    "metrics_raw_gpu", ("at", "machine", "gpu", "readings"), columns(GPU_METRICS), keep_days=14
)
TIERS: Sequence[Tier] = (MACHINES, GPUS)


def ensure_partitions(today: date, days_ahead: int = DAYS_AHEAD) -> int:
    """Make the partitions from the day before `today` on; how many were missing.

    The day before is there for readings that wait for a database that is down at midnight.
    """
    return ensure_days([today + timedelta(days=offset) for offset in range(-1, days_ahead + 1)])


def ensure_days(days: Sequence[date]) -> int:
    """Make the partitions of these days in every tier; how many were missing."""
    return sum(_ensure(tier, days) for tier in TIERS)


def _ensure(tier: Tier, days: Sequence[date]) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        existing = set(_partitions(tier))
        missing = [day for day in days if partition_name(tier, day) not in existing]
        for day in missing:
            _attach(tier, day)
    return len(missing)


def _attach(tier: Tier, day: date) -> None:
    table, partition = sql.Identifier(tier.table), sql.Identifier(partition_name(tier, day))
    start, end = _midnight(day), _midnight(day + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS)").format(partition, table)
        )
        cursor.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                table, partition, sql.Literal(start.isoformat()), sql.Literal(end.isoformat())
            )
        )


def drop_expired(today: date) -> list[str]:
    """Drop the days that each tier no longer keeps; their names."""
    dropped: list[str] = []
    for tier in TIERS:
        dropped += drop_partitions(tier, today - timedelta(days=tier.keep_days))
    return dropped


def drop_partitions(tier: Tier, older_than: date) -> list[str]:
    """Drop the days before `older_than`; the names of those that could be dropped.

    A day that somebody reads for long is left to the next call and said in the log.
    """
    limit = partition_name(tier, older_than)
    return [name for name in _partitions(tier) if name < limit and _drop(name)]


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
            time.sleep(0.1 * 2**attempt)  # lets those through who queued behind us
    logger.warning("partition %s is in use and is dropped later", name)
    return False


def _partitions(tier: Tier) -> list[str]:
    """The names of a tier's partitions, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY c.relname",
            [tier.table],
        )
        return [name for (name,) in cursor.fetchall()]


def partition_name(tier: Tier, day: date) -> str:
    """Names sort like their days."""
    return f"{tier.table}_{day:%Y%m%d}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
