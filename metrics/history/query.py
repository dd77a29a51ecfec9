"""Reading the history: which tier answers for a span of time, in how many equal steps.

`slice` is for charts and whoever compares; `rows_sql` is for whoever takes every row away. Both
contain the running hour and day, computed from the tier below, and hours that wait for the roll-up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

from core.errors import Invalid
from core.times import utc
from metrics.history import retention, rollup_queue
from metrics.history import sql as history_sql
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, STATISTICS
from metrics.history.sql import Unfinished
from metrics.history.tiers import DAILY, HOURLY, RAW, TIERS, Tier
from metrics.models import Machine

RANGES: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "12m": timedelta(days=365),
}
DEFAULT_RANGE = "24h"
MOST_POINTS = 20_000

# The longest span that a tier answers for by itself.
_LONGEST: Sequence[tuple[Tier, timedelta]] = (
    (RAW, timedelta(hours=24)),
    (HOURLY, timedelta(days=45)),
    (DAILY, timedelta.max),
)
_OF_GPU = frozenset(metric.name for metric in GPU_METRICS)
_GPU_NAMES = tuple(metric.name for metric in GPU_METRICS)
_MACHINE_NAMES = tuple(metric.name for metric in MACHINE_METRICS)

Numbers = list[float | None]


class Span(NamedTuple):
    """A stretch of time, its start inclusive."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Slice:
    """Equal steps of a span: `series[name]["avg" | "min" | "max"]` has a number or None for each.

    A step of the raw tier is named by its end, as its rows are; one of hours or days by its start.
    """

    tier: Tier
    resolution_seconds: int
    timestamps: list[datetime]
    series: dict[str, dict[str, Numbers]]


def window(range_: str | None, start: datetime | None, end: datetime | None, now: datetime) -> Span:
    """The span that is meant: a name of `RANGES` up to now, or the given ends; 24 hours if neither.

    A start alone goes up to now. Raises `Invalid`.
    """
    if start is None and end is None:
        return _named(DEFAULT_RANGE if range_ is None else range_, now)
    if range_ is not None:
        raise Invalid.field("range", "Say either range, or start and end.")
    if start is None:
        raise Invalid.field("start", "An end needs a start.")
    span = Span(_utc("start", start), _utc("end", end or now))
    if span.start >= span.end:
        raise Invalid.field("start", "The start has to lie before the end.")
    return span


def _named(name: str, now: datetime) -> Span:
    length = RANGES.get(name)
    if length is None:
        raise Invalid.field("range", f"It is one of {', '.join(RANGES)}.")
    return Span(now - length, now)


def _utc(field: str, moment: datetime) -> datetime:
    """A time without a zone is UTC, like all times of the API."""
    try:
        return utc(moment)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from error


def slice(
    connection_id: UUID,
    span: Span,
    *,
    gpu: int | None = None,
    max_points: int = 1500,
    tier: Tier | None = None,
    metrics: Sequence[str] | None = None,
    digits: Mapping[str, int] | None = None,
) -> Slice:
    """At most `max_points` equal steps over the whole span; without `metrics`, every series.

    `digits`: how many to keep after the point, for each metric; all of them if None.

    `gpu=None`: the machine, its GPUs taken together. `gpu=N`: the `gpu_…` series are that GPU's,
    null where it does not exist. A machine without history has series of nulls.
    """
    machine = Machine.objects.filter(connection_id=connection_id).first()
    tier = tier or tier_for(machine, span)
    grid = _Grid.over(tier, span, max_points)
    series: dict[str, dict[str, Numbers]] = {}
    for of_gpu, names in _parts(gpu, metrics):
        found = _fetch(tier, machine, grid, of_gpu, names, digits) if machine is not None else []
        series |= _columnar(grid, names, found)
    return Slice(tier, grid.seconds, grid.timestamps(tier), series)


def tier_for(machine: Machine | None, span: Span) -> Tier:
    """The finest tier that is meant for this length and still has the span's beginning."""
    length = span.end - span.start
    fitting = [tier for tier, longest in _LONGEST if length <= longest]
    if machine is None:
        return fitting[0]
    kept = (t for t in fitting if retention.kept_from(t, machine, datetime.now(UTC)) <= span.start)
    return next(kept, fitting[-1])


def rows_sql(
    tier: Tier, machine: Machine, span: Span, gpu: int | None, names: Sequence[str] | None = None
) -> sql.Composed:
    """A SELECT of the tier's rows in time order: `at`, then `sql.columns` of the metrics.

    Of the raw tier the rows that end in (start, end], of the others those that begin in
    [start, end). `names`: metrics of the machine, or with `gpu` of that GPU; all of them if None.
    """
    chosen = names or (_MACHINE_NAMES if gpu is None else _GPU_NAMES)
    found = _select(tier, machine, span, gpu, chosen)
    return sql.SQL("SELECT * FROM ({}) r ORDER BY at").format(found)


def oldest(connection_id: UUID) -> dict[str, datetime | None]:
    """By name of the tier: the time of its first row of this machine; None where there is none."""
    form = sql.SQL("(SELECT min(at) FROM {} WHERE machine = m.id)")
    firsts = [form.format(sql.Identifier(tier.machine.name)) for tier in TIERS]
    query = sql.SQL("SELECT {} FROM metrics_machine m WHERE m.connection_id = {}").format(
        sql.SQL(", ").join(firsts), connection_id
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = cursor.fetchone() or [None] * len(TIERS)
    return {tier.name: at for tier, at in zip(TIERS, found, strict=True)}


# --- Steps --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Grid:
    """`count` steps of `seconds` from `start` on."""

    start: datetime
    seconds: int
    count: int

    @classmethod
    def over(cls, tier: Tier, span: Span, max_points: int) -> "_Grid":
        """The narrowest steps, whole rows of the tier, of which at most so many cover the span.

        They end with the last row of the raw tier, so that none lies in the future.
        """
        start, end = tier.start_of(span.start), tier.start_of(span.end)
        if tier is not RAW and end < span.end:
            end += tier.resolution
        total = max(1, (end - start) // tier.resolution)
        per_step = -(-total // max_points)
        count = -(-total // per_step)
        first = end - count * per_step * tier.resolution if tier is RAW else start
        return cls(first, per_step * tier.resolution_seconds, count)

    @property
    def step(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def end(self) -> datetime:
        return self.start + self.count * self.step

    def timestamps(self, tier: Tier) -> list[datetime]:
        step = self.step
        first = self.start + step if tier is RAW else self.start
        return [first + number * step for number in range(self.count)]


def _parts(
    gpu: int | None, metrics: Sequence[str] | None
) -> Iterable[tuple[int | None, list[str]]]:
    """Which names come from which table: (the GPU or None, names); an empty part is left out."""
    if gpu is None:
        own = _MACHINE_NAMES
        of_gpu: Sequence[str] = ()
    else:
        own = tuple(name for name in _MACHINE_NAMES if name not in _OF_GPU)
        of_gpu = _GPU_NAMES
    for where, names in ((None, own), (gpu, of_gpu)):
        wanted = [name for name in names if metrics is None or name in metrics]
        if wanted:
            yield where, wanted


def _fetch(
    tier: Tier,
    machine: Machine,
    grid: _Grid,
    gpu: int | None,
    names: Sequence[str],
    digits: Mapping[str, int] | None,
) -> list[tuple[Any, ...]]:
    """(number of the step, then the statistics of each metric), for each step that has rows."""
    found = _select(tier, machine, Span(grid.start, grid.end), gpu, names)
    is_row = grid.seconds <= (settings.PERSIST_SECONDS if tier is RAW else tier.resolution_seconds)
    steps = _plain(found, tier, grid, names) if is_row else _stepped(found, tier, grid, names)
    return _read(_shown(steps, grid, names, digits))


def _read(query: sql.Composed) -> list[tuple[Any, ...]]:
    """The rows, sent in binary: fifty thousand numbers as text take four times as long to read."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(query, binary=True)
        return cursor.fetchall()


def _select(
    tier: Tier, machine: Machine, span: Span, gpu: int | None, names: Sequence[str]
) -> sql.Composed:
    unfinished = unfinished_of(tier, machine, span)
    return history_sql.select(tier, machine.pk, span.start, span.end, gpu, names, unfinished)


def unfinished_of(tier: Tier, machine: Machine, span: Span) -> Unfinished:
    """What of this span has to be computed on the way: what is noted and has its windows still."""
    if tier is RAW:
        return Unfinished()
    start = tier.start_of(span.start)
    end = span.end if tier is HOURLY else DAILY.start_of(span.end) + DAILY.resolution
    hours = _live(HOURLY, machine, start, end, machine.raw_from)
    if tier is HOURLY:
        return Unfinished(hours)
    days = set(_live(DAILY, machine, start, end, machine.hourly_from))
    days |= {DAILY.start_of(hour) for hour in hours}
    return Unfinished(hours, sorted(day for day in days if day < span.end))


def _live(
    tier: Tier, machine: Machine, start: datetime, end: datetime, kept: datetime | None
) -> list[datetime]:
    noted = rollup_queue.of_machine(tier, machine.pk, start, end)
    return [at for at in noted if kept is None or at >= kept]


def _begin(tier: Tier, grid: _Grid) -> sql.Composed:
    """When the step of a row begins.

    A raw row that ends a step belongs to it; a row of hours or days that begins one does.
    """
    moment = sql.SQL("at - interval '1 microsecond'" if tier is RAW else "at")
    return sql.SQL("date_bin({}, {}, {})").format(grid.step, moment, grid.start)


def _plain(found: sql.Composed, tier: Tier, grid: _Grid, names: Sequence[str]) -> sql.Composed:
    return sql.SQL("SELECT {} AS step, {} FROM ({}) r").format(
        _begin(tier, grid), history_sql.identifiers(_statistics(names)), found
    )


def _stepped(found: sql.Composed, tier: Tier, grid: _Grid, names: Sequence[str]) -> sql.Composed:
    return sql.SQL("SELECT {} AS step, {} FROM ({}) r GROUP BY 1").format(
        _begin(tier, grid), history_sql.means(tier, names), found
    )


def _shown(
    steps: sql.Composed, grid: _Grid, names: Sequence[str], digits: Mapping[str, int] | None
) -> sql.Composed:
    """The same steps by their number, with so many digits after the point, or all of them."""
    kept = tuple((name, None if digits is None else digits[name]) for name in names)
    # Numbers are cheaper to send and to compare than times.
    return sql.SQL("SELECT (date_part('epoch', step - {}) / {})::int, {} FROM ({}) s").format(
        grid.start, grid.seconds, _rounded(kept), steps
    )


@lru_cache
def _rounded(metrics: tuple[tuple[str, int | None], ...]) -> sql.SQL:
    """The statistics of metrics, each with its digits after the point."""
    values = [
        sql.SQL("{0}" if digits is None else "round({0}::float8 * {1}) / {1}").format(
            sql.Identifier(f"{name}_{statistic}"), 10 ** (digits or 0)
        )
        for name, digits in metrics
        for statistic in STATISTICS
    ]
    return sql.SQL(sql.SQL(", ").join(values).as_string())


def _statistics(names: Sequence[str]) -> list[str]:
    return [f"{name}_{statistic}" for name in names for statistic in STATISTICS]


def _columnar(
    grid: _Grid, names: Sequence[str], found: Sequence[tuple[Any, ...]]
) -> dict[str, dict[str, Numbers]]:
    """Rows in any order → series; a step without a row is None everywhere."""
    every: list[tuple[Any, ...]] = [(None,) * (1 + len(_statistics(names)))] * grid.count
    for row in found:
        every[row[0]] = row
    _, *columns = map(list, zip(*every, strict=True))
    each = iter(columns)
    return {name: {statistic: next(each) for statistic in STATISTICS} for name in names}
