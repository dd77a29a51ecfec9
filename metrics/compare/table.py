"""Several machines, spans or GPUs beside each other: the curves from their starts on, and figures.

An item is one machine over one span, whole or one GPU of it. Its figures come from the rows of the
tier that answers for the span (`metrics/history/query.py`), not from the thinned curves:

* mean: over the readings, so an hour with few of them counts little;
* p95: of the rows' means, `percentile_cont`, so it depends on the tier's grain;
* max: the greatest single reading;
* energy: mean power × length over the rows that are there, in watt hours; a gap adds nothing, the
  running hour counts up to now. Power over several GPUs is their sum.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import product
from typing import Any

from django.db import connection as database
from psycopg import sql

from connections.models import Connection
from core import times
from core.errors import Invalid
from core.numbers import whole
from core.times import iso
from metrics.history import columnar
from metrics.history import query as history_query
from metrics.history import sql as history_sql
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS
from metrics.history.query import Slice, Span
from metrics.history.tiers import RAW, Tier
from metrics.models import Machine

MOST_ITEMS = 12
MOST_POINTS = 1500
# The series that are compared; a GPU's own clock and throttling have no counterpart elsewhere.
SERIES = (
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_watts",
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "network_rx_bytes_per_second",
    "network_tx_bytes_per_second",
)
_OF_GPU = {metric.name for metric in GPU_METRICS}
_POWER = "gpu_power_watts"
_PERCENTILE = "percentile_cont(0.95) WITHIN GROUP (ORDER BY {avg}) AS {p95}"
_SECONDS = "extract(epoch FROM least(at + {length}, {end}) - at)"

assert {metric.name for metric in MACHINE_METRICS} >= set(SERIES)


@dataclass(frozen=True, slots=True)
class Item:
    """What is compared: `gpu` None is the whole machine; `range_text` is the span as asked for."""

    connection: Connection
    span: Span
    gpu: int | None
    range_text: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one series; None where nothing was reported."""

    mean: float | None
    p95: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One item with its curves and figures; `energy_wh` None where no power was reported."""

    item: Item
    curves: Slice
    summary: dict[str, Figures]
    energy_wh: float | None


def span_of(text: str, now: datetime) -> Span:
    """`24h`, `7d` … or `START/END` in ISO 8601; raises `Invalid`."""
    start, slash, end = text.partition("/")
    if not slash:
        return history_query.window(text, None, None, now)
    return history_query.window(None, _moment(start), _moment(end), now)


def _moment(text: str) -> datetime:
    try:
        return times.read(text)
    except ValueError:
        sentence = f"{text[:40]!r} is no time in ISO 8601 of the years 2000 to 2099."
        raise Invalid.field("ranges", sentence) from None


def gpu_of(text: str) -> int | None:
    """`all` or the index of a GPU; raises `Invalid`."""
    if text in ("", "all"):
        return None
    gpu = whole(text, 32_767)
    if gpu is None:
        raise Invalid.field("gpu", f"{text[:40]!r} is neither all nor the index of a GPU.")
    return gpu


def pairs(
    connections: Sequence[Connection], ranges: Sequence[str], gpus: Sequence[str], now: datetime
) -> list[Item]:
    """Every machine with every range and every GPU, in this order; raises `Invalid`."""
    if len(connections) * len(ranges) * len(gpus) > MOST_ITEMS:
        raise Invalid.field("connections", f"At most {MOST_ITEMS} curves can be compared.")
    return [
        Item(row, span_of(range_text, now), gpu_of(gpu), range_text)
        for row, range_text, gpu in product(connections, ranges, gpus)
    ]


def compare(items: Iterable[Item], max_points: int) -> list[Comparison]:
    """Curves and figures of each item; three to five queries per item."""
    return [_comparison(item, max_points) for item in items]


def _comparison(item: Item, max_points: int) -> Comparison:
    curves = history_query.slice(
        item.connection.pk, item.span, gpu=item.gpu, max_points=max_points, metrics=SERIES
    )
    machine = Machine.objects.filter(connection=item.connection).first()
    summary = dict.fromkeys(SERIES, Figures(None, None, None))
    energy = None
    if machine is not None:
        for gpu, names in _tables(item.gpu):
            figures, joules = _figures(curves.tier, machine, item.span, gpu, names)
            summary |= figures
            energy = joules / 3600 if joules is not None else energy
    return Comparison(item, curves, summary, energy)


def _tables(gpu: int | None) -> Iterable[tuple[int | None, list[str]]]:
    """Which series come from the machine's table and which from the GPU's."""
    of_gpu = [name for name in SERIES if gpu is not None and name in _OF_GPU]
    yield None, [name for name in SERIES if name not in of_gpu]
    if of_gpu:
        yield gpu, of_gpu


def _figures(
    tier: Tier, machine: Machine, span: Span, gpu: int | None, names: Sequence[str]
) -> tuple[dict[str, Figures], float | None]:
    """The figures of these series over all rows, and the energy in joules if power is one."""
    found = history_query.rows_sql(tier, machine, span, gpu, names)
    parts = [history_sql.means(tier, names), *(_percentile(name) for name in names)]
    if _POWER in names:
        parts.append(_energy(tier, span))
    query = sql.SQL("SELECT {} FROM ({}) r").format(sql.SQL(", ").join(parts), found)
    with database.cursor() as cursor:
        cursor.execute(query)
        titles = [column.name for column in cursor.description or ()]
        row = dict(zip(titles, cursor.fetchone() or (), strict=True))
    figures = {
        name: Figures(row[f"{name}_avg"], row[f"{name}_p95"], row[f"{name}_max"]) for name in names
    }
    return figures, row.get("joules")


def _percentile(name: str) -> sql.Composed:
    avg, p95 = sql.Identifier(f"{name}_avg"), sql.Identifier(f"{name}_p95")
    return sql.SQL(_PERCENTILE).format(avg=avg, p95=p95)


def _energy(tier: Tier, span: Span) -> sql.Composed:
    """Watt seconds. A row of hours or days reaches no further than the span's end."""
    seconds = (
        sql.Literal(tier.resolution_seconds)
        if tier is RAW
        else sql.SQL(_SECONDS).format(length=tier.resolution, end=span.end)
    )
    power = sql.Identifier(f"{_POWER}_avg")
    return sql.SQL("sum({}::float8 * {})::float8 AS joules").format(power, seconds)


# --- How it is told ------------------------------------------------------------------------------


def as_dict(found: Comparison) -> dict[str, Any]:
    """One item of the API's answer; `offset_seconds` are the timestamps from the start on."""
    item, curves = found.item, found.curves
    body = columnar.as_dict(curves)
    body["series"]["offset_seconds"] = [
        (at - item.span.start).total_seconds() for at in curves.timestamps
    ]
    return {
        "connection_id": str(item.connection.pk),
        "name": item.connection.name,
        "range": item.range_text,
        "start": iso(item.span.start),
        "end": iso(item.span.end),
        "gpu": item.gpu,
        **body,
        "summary": {name: asdict(of) for name, of in found.summary.items()},
        "energy_wh": found.energy_wh,
    }


def difference(value: float | None, first: float | None) -> float | None:
    """How much more than the first, in percent of it; None where that has no meaning."""
    if value is None or first is None or math.isclose(first, 0.0, abs_tol=1e-9):
        return None
    return 100.0 * (value - first) / abs(first)
