"""The tables of a run's bundle as Parquet, piece by piece: its machine's history, its scalars.

Memory stays flat in the history however long the run was; the scalars are bounded (`curves.py`).
Raises what the database raises.
"""

import csv
import io
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime

from psycopg import sql

from core.times import iso
from core.web import streaming
from exports import formats
from exports.columns import STAMP
from jobs.models import Job
from jobs.results import ingest as results_ingest
from jobs.results import summary as results_summary
from jobs.tracking import energy
from jobs.tracking.curves import Curve, Curves
from metrics.history import query as history_query
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, METRICS, columns
from metrics.models import Machine

Pieces = AsyncGenerator[bytes]

MACHINE = "machine"
_NAMES = list(dict.fromkeys(columns(METRICS)))
# By a metric's name without `_avg`, `_min` and `_max`.
UNITS = {metric.name: metric.unit for metric in METRICS}


def device_of(gpu: int | None) -> str:
    """How a row names what it is about."""
    return MACHINE if gpu is None else f"gpu{gpu}"


async def of_history(job: Job) -> Pieces:
    """The windows of the machine and then of each granted GPU, in the order of time."""
    from exports import parquet

    kinds = {"timestamp": "time", "device": "text"} | dict.fromkeys(_NAMES, "float32")
    selects = await streaming.in_thread(_selects, job)
    writer = await streaming.in_thread(parquet.Writer, kinds, _described(job))
    for select in selects:
        async with aclosing(formats.groups(select)) as groups:
            async for group in groups:
                yield await streaming.in_thread(writer.add, group)
    yield await streaming.in_thread(writer.end)


async def of_scalars(job: Job) -> Pieces:
    """Every kept point of every curve."""
    from exports import parquet

    kinds = {"name": "text", "step": "whole", "value": "float64", "timestamp": "time"}
    writer = await streaming.in_thread(parquet.Writer, kinds, {"job_id": str(job.pk)})
    curves = await streaming.in_thread(_all_curves, job)
    for name, curve in curves.by_name.items():
        yield await streaming.in_thread(writer.add, _lines(name, curve))
    yield await streaming.in_thread(writer.end)


def _described(job: Job) -> dict[str, str]:
    return {"job_id": str(job.pk), "machine": job.connection.name}


def _selects(job: Job) -> list[sql.Composed]:
    machine = Machine.objects.filter(connection_id=job.connection_id).first()
    if machine is None or job.started_at is None:
        return []
    span = results_summary.span_of(job)
    tier = history_query.tier_for(machine, span)
    gpus: Iterable[int | None] = [None, *energy.whole_gpus(job.granted)]
    return [_select(history_query.rows_sql(tier, machine, span, gpu), gpu) for gpu in gpus]


def _select(rows: sql.Composed, gpu: int | None) -> sql.Composed:
    own = set(columns(MACHINE_METRICS if gpu is None else GPU_METRICS))
    numbers = [sql.Identifier(name) if name in own else sql.SQL("NULL") for name in _NAMES]
    form = sql.SQL("SELECT {}, {}, {} FROM ({}) AS kept ORDER BY at")
    return form.format(STAMP, device_of(gpu), sql.SQL(", ").join(numbers), rows)


def _all_curves(job: Job) -> Curves:
    """To the end of the log, if nobody else is reading it at this moment."""
    row, before = results_ingest.catch_up(job), -1
    while before < row.offset < job.log_bytes:
        before = row.offset
        row = results_ingest.catch_up(job)
    return row.curves


def _lines(name: str, curve: Curve) -> bytes:
    """A curve as CSV without a header; what is not finite and what is not known is empty."""
    text = io.StringIO()
    csv.writer(text).writerows(_rows(name, curve))
    return text.getvalue().encode()


def _rows(name: str, curve: Curve) -> Iterator[list[object]]:
    for step, value, at in curve.shown(len(curve.points) + 1):
        yield [name, step, value, None if at is None else _time(at)]


def _time(milliseconds: int) -> str | None:
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC))
