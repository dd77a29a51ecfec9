"""How long the rows of each tier are kept, and their end.

A line of `Retention` for a machine comes before the one for the site, and that before `tiers.py`.
What nobody keeps any more is dropped as whole partitions; a machine that keeps less than others, or
is gone for good, loses its rows by DELETE, a few thousand at a time.

Before anything goes, `Machine.raw_from` and `.hourly_from` say so and are committed: no roll-up
replaces an hour by what is left of its windows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from psycopg import sql

from core.background import isolation
from metrics.history import partitions
from metrics.history.partitions import Table
from metrics.history.tiers import DAILY, TIERS, Tier
from metrics.models import Machine, Retention

# Windows, hours or days of one machine that one DELETE may take.
_BATCH = 5_000


@dataclass(slots=True)
class Removed:
    """What a clean-up took away, or would take away."""

    partitions: list[str] = field(default_factory=list)
    rows: int = 0

    def __str__(self) -> str:
        return f"{len(self.partitions)} partitions and {self.rows} rows"


@dataclass(frozen=True, slots=True)
class Kept:
    """The days that one tier keeps: of every machine, and of those with a line of their own."""

    site: int
    own: dict[UUID, int]

    @property
    def longest(self) -> int:
        return max(self.site, *self.own.values()) if self.own else self.site

    def of(self, connection_id: UUID) -> int:
        return self.own.get(connection_id, self.site)


def kept(tier: Tier) -> Kept:
    """What the lines of `Retention` say about a tier."""
    lines = Retention.objects.filter(tier=tier.name)
    own: dict[Any, int] = dict(lines.values_list("connection_id", "keep_days"))
    return Kept(own.pop(None, tier.keep_days), own)


def kept_from(tier: Tier, machine: Machine, now: datetime) -> datetime:
    """The moment from which a machine's rows of a tier are all there."""
    limit = limit_of(kept(tier).of(machine.connection_id), now)
    mark = None if tier is DAILY else getattr(machine, _mark(tier))
    return limit if mark is None else max(mark, limit)


def limit_of(days: int, now: datetime) -> datetime:
    """Midnight, UTC, so many days ago."""
    return datetime.combine(now.astimezone(UTC).date() - timedelta(days=days), time(), UTC)


def clean_up(now: datetime, *, dry_run: bool = False) -> Removed:
    """Take away what is no longer kept; with `dry_run` only tell what that would be.

    Roll up before: hours that were never computed are lost with their windows.
    """
    removed = Removed()
    for tier in TIERS:
        _clean_up(tier, now, removed, dry_run=dry_run)
    return removed


def _clean_up(tier: Tier, now: datetime, removed: Removed, *, dry_run: bool) -> None:
    days = kept(tier)
    limits = {
        machine: limit_of(days.of(connection_id), now)
        for machine, connection_id in Machine.objects.values_list("id", "connection_id")
    }
    oldest = limit_of(days.longest, now)
    if not dry_run:
        _say_what_goes(tier, limits)
    act = partitions.expired if dry_run else partitions.drop
    for table in tier.tables:
        removed.partitions += act(table, oldest.date())
    less = {machine: limit for machine, limit in limits.items() if limit > oldest}
    less |= dict.fromkeys(_gone(tier.machine), now + tier.resolution)
    isolation.each(
        less.items(),
        lambda one: _shorten(tier, *one, removed, dry_run=dry_run),
        name=f"cleaning up the {tier.name} rows of machine",
        key=lambda one: one[0],
    )


def _shorten(tier: Tier, machine: int, limit: datetime, removed: Removed, *, dry_run: bool) -> None:
    removed.rows += _delete(tier, machine, limit, dry_run=dry_run)


def _say_what_goes(tier: Tier, limits: dict[int, datetime]) -> None:
    """Move the machines' marks forward; they never go back, what is gone stays gone."""
    if tier is DAILY:
        return
    mark = _mark(tier)
    for limit in set(limits.values()):
        ids = [machine for machine, one in limits.items() if one == limit]
        behind = Q(**{f"{mark}__isnull": True}) | Q(**{f"{mark}__lt": limit})
        Machine.objects.filter(behind, id__in=ids).update(**{mark: limit})


def _mark(tier: Tier) -> str:
    return f"{tier.name}_from"


def _gone(table: Table) -> list[int]:
    """The machines whose rows outlived them. One look into the index per machine, not per row."""
    query = sql.SQL(
        "WITH RECURSIVE found(id) AS ("
        "SELECT min(machine) FROM {0} UNION ALL "
        "SELECT (SELECT min(machine) FROM {0} WHERE machine > id) FROM found WHERE id IS NOT NULL) "
        "SELECT id FROM found WHERE id IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM metrics_machine m WHERE m.id = found.id)"
    ).format(sql.Identifier(table.name))
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [machine for (machine,) in cursor.fetchall()]


def _delete(tier: Tier, machine: int, limit: datetime, *, dry_run: bool) -> int:
    """Remove a machine's rows before `limit`; how many there were."""
    if dry_run:
        return sum(_rows(table, _COUNT, machine, limit) for table in tier.tables)
    gone = 0
    for bound in _bounds(tier, machine, limit):
        gone += sum(_rows(table, _DELETE, machine, bound) for table in tier.tables)
    return gone


def _bounds(tier: Tier, machine: int, limit: datetime) -> Iterable[datetime]:
    """Up to where each DELETE goes, so that none holds its locks for long."""
    while (oldest := _oldest(tier.machine, machine)) is not None and oldest < limit:
        yield min(oldest + _BATCH * tier.resolution, limit)


def _oldest(table: Table, machine: int) -> datetime | None:
    query = sql.SQL("SELECT min(at) FROM {} WHERE machine = {}")
    with connection.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(table.name), machine))
        [(found,)] = cursor.fetchall()
    return found  # type: ignore[no-any-return]


_DELETE = "DELETE FROM {} WHERE machine = {} AND at < {}"
_COUNT = "SELECT FROM {} WHERE machine = {} AND at < {}"


def _rows(table: Table, form: str, machine: int, limit: datetime) -> int:
    query = sql.SQL(form).format(sql.Identifier(table.name), machine, limit)
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.rowcount)
