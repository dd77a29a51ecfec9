"""The rows of a tier as one SELECT, with what the roll-up has not reached computed on the way.

The roll-up, the charts and the exports build on these pieces, so that they cannot disagree about
what an hour is. Only text is made here: every function returns SQL and nothing is executed.

A row of hours or days carries per metric the mean over its readings, the least, the greatest, and
how many readings there were; a metric that was absent all the time is null with a null count.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from psycopg import sql

from metrics.history.catalogue import STATISTICS
from metrics.history.partitions import Table
from metrics.history.tiers import HOURLY, RAW, Tier


class Named(Protocol):
    """A metric, as far as its columns go."""

    @property
    def name(self) -> str: ...


def table_of(tier: Tier, gpu: int | None) -> Table:
    """Where a tier keeps a machine's own numbers, or those of one GPU."""
    return tier.machine if gpu is None else tier.gpu


def weight(tier: Tier, name: str) -> sql.Composable:
    """How many readings one row's value of a metric is the mean of."""
    return sql.Identifier("readings" if tier is RAW else f"{name}_count")


_MEAN = (
    "(sum({avg}::float8 * {weight}) / sum({weight}) FILTER (WHERE {avg} IS NOT NULL))::real"
    " AS {avg}, min({min}) AS {min}, max({max}) AS {max}"
)
_COUNT = "(sum({weight}) FILTER (WHERE {avg} IS NOT NULL))::int AS {count}"


def means(tier: Tier, names: Sequence[str]) -> sql.SQL:
    """What makes one row of many rows of `tier`: mean, least and greatest per metric.

    The mean is taken in double precision and given as `real`, so that the mean of equal values is
    that value.
    """
    return _each(_MEAN, tier, tuple(names))


def aggregates(tier: Tier, names: Sequence[str]) -> sql.SQL:
    """The same with the count, as the tier above stores it."""
    return _each(f"{_MEAN}, {_COUNT}", tier, tuple(names))


# Composing the text anew for every answer takes as long as reading a tenth of it.
@lru_cache
def _each(form: str, tier: Tier, names: tuple[str, ...]) -> sql.SQL:
    parts = [
        sql.SQL(form).format(
            weight=weight(tier, name),
            **{part: sql.Identifier(f"{name}_{part}") for part in (*STATISTICS, "count")},
        )
        for name in names
    ]
    return sql.SQL(sql.SQL(", ").join(parts).as_string())


def columns(tier: Tier, names: Sequence[str]) -> sql.Composed:
    """The columns of these metrics in a row of `tier`; of the raw tier with `readings` before."""
    parts = STATISTICS if tier is RAW else (*STATISTICS, "count")
    found = [f"{name}_{part}" for name in names for part in parts]
    return identifiers(["readings", *found] if tier is RAW else found)


def select(
    tier: Tier,
    machine: int,
    start: datetime,
    end: datetime,
    gpu: int | None,
    names: Sequence[str],
    unfinished: "Unfinished",
) -> sql.Composed:
    """`at` and the columns of a tier's rows that begin in [start, end); not ordered.

    Of the raw tier, whose rows are named by their ends: those that end in (start, end].
    """
    if tier is RAW:
        return _stored(tier, machine, gpu, names, _between(tier, start, end))
    live = unfinished.of(tier)
    stored = _stored(tier, machine, gpu, names, _between(tier, start, end, without=live))
    if not live:
        return stored
    computed = _computed(tier, machine, gpu, names, unfinished)
    return sql.SQL("{} UNION ALL {}").format(stored, computed)


class Unfinished:
    """The hours and days of a machine that are computed on the way, and not read as stored."""

    def __init__(self, hours: Sequence[datetime] = (), days: Sequence[datetime] = ()) -> None:
        self.hours = list(hours)
        self.days = list(days)

    def of(self, tier: Tier) -> list[datetime]:
        return self.hours if tier is HOURLY else self.days


def _stored(
    tier: Tier, machine: int, gpu: int | None, names: Sequence[str], condition: sql.Composable
) -> sql.Composed:
    of_gpu = sql.SQL("") if gpu is None else sql.SQL(" AND gpu = {}").format(gpu)
    return sql.SQL("SELECT at, {} FROM {} WHERE machine = {}{} AND {}").format(
        columns(tier, names),
        sql.Identifier(table_of(tier, gpu).name),
        machine,
        of_gpu,
        condition,
    )


def _between(
    tier: Tier, start: datetime, end: datetime, without: Sequence[datetime] = ()
) -> sql.Composed:
    form = "at > {} AND at <= {}" if tier is RAW else "at >= {} AND at < {}"
    condition = sql.SQL(form).format(start, end)
    if not without:
        return condition
    return condition + sql.SQL(" AND at <> ALL({})").format(list(without))


def _computed(
    tier: Tier, machine: int, gpu: int | None, names: Sequence[str], unfinished: Unfinished
) -> sql.Composed:
    """The rows of the unfinished spans, each from the tier below."""
    live = unfinished.of(tier)
    lower = below(tier)
    first, last = min(live), max(live) + tier.resolution
    return sql.SQL("SELECT d.at, {} FROM unnest({}) d(at) JOIN ({}) r ON {} GROUP BY d.at").format(
        aggregates(lower, names),
        live,
        select(lower, machine, first, last, gpu, names, unfinished),
        inside(tier),
    )


def below(tier: Tier) -> Tier:
    """What a row of hours or days is made of."""
    return RAW if tier is HOURLY else HOURLY


def inside(tier: Tier) -> sql.Composed:
    """Whether the row `r` of the tier below belongs to the span that begins at `d.at`."""
    form = (
        "r.at > d.at AND r.at <= d.at + {}"
        if tier is HOURLY
        else ("r.at >= d.at AND r.at < d.at + {}")
    )
    return sql.SQL(form).format(tier.resolution)


def identifiers(names: Sequence[str]) -> sql.Composed:
    """Column names, with commas between."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
