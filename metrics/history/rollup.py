"""Hours from windows, and days from hours: what is noted in `metrics/history/rollup_queue.py` is
computed.

A batch is one transaction: take notes, store their rows, note the days above, forget the notes. It
may be killed between batches or within one, run beside itself, and run again: what is not committed
is still noted, and computing a row twice gives the same row. Only spans that ended are taken.

A row that is there stays if its span begins before what the tier below still keeps in full: it is
better than what could be made of the rest.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import connection, transaction
from psycopg import sql

from core.background import isolation
from metrics.history import partitions, rollup_queue
from metrics.history import sql as history_sql
from metrics.history.catalogue import GPU_METRICS, MACHINE_METRICS, STATISTICS
from metrics.history.partitions import Table
from metrics.history.rollup_queue import Due
from metrics.history.tiers import DAILY, HOURLY, Tier

logger = logging.getLogger(__name__)

# Hours of one machine, or machines of one hour. Whoever writes late rows of one of them waits for
# the batch: about 0.2 s with eight GPUs each.
BATCH = 50

_FIRST_AND_LAST = """
SELECT min(at), max(at) FROM metrics_pending WHERE tier = %s AND at <= %s
"""
# The joins look up the hours one by one; a hash of the whole tier is never better, whatever the
# statistics of a fresh partition say.
_PLAN = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"

# The machine's own mark of what the tier below keeps in full.
_KEPT: Mapping[str, str] = {"hourly": "raw_from", "daily": "hourly_from"}


def roll_up(now: datetime, *, batch: int = BATCH) -> int:
    """Compute every noted hour and day that ended by `now`; how many there were.

    Raises what the database raises; then the batches before are stored and the rest is noted.
    """
    return sum(_roll_up(tier, now, batch) for tier in (HOURLY, DAILY))


def _roll_up(tier: Tier, now: datetime, batch: int) -> int:
    _ensure_partitions(tier, now)
    computed = 0
    while count := _batch(tier, now, batch):
        computed += count
    return computed


def _ensure_partitions(tier: Tier, now: datetime) -> None:
    """A machine that comes back after long may bring hours of a month that nobody made."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_AND_LAST, [tier.name, now - tier.resolution])
        ends = [at.date() for at in cursor.fetchone() or () if at is not None]
    for table in tier.tables if ends else ():
        partitions.ensure(table, ends)


def _batch(tier: Tier, now: datetime, most: int) -> int:
    with transaction.atomic():
        due = rollup_queue.take(tier, now, most)
        try:
            with transaction.atomic():
                _compute(tier, due)
        except Exception as error:
            if isolation.is_down(error):
                raise
            logger.exception("%s: a batch was refused, each is computed alone", tier.name)
            for one in due:
                isolation.each([[one]], partial(_compute, tier), name=tier.name, key=str)
        # What failed alone is not noted again: its rows below would only fail once more.
        rollup_queue.done(tier, due)
    return len(due)


def _compute(tier: Tier, due: Sequence[Due]) -> None:
    if not due:
        return
    _store(tier, due)
    if tier is HOURLY:
        rollup_queue.note(DAILY, {(machine, DAILY.start_of(at)) for machine, at in due})


def _store(tier: Tier, due: Sequence[Due]) -> None:
    machines, starts = [machine for machine, _ in due], [at for _, at in due]
    span = [min(starts), max(starts) + tier.resolution]
    with connection.cursor() as cursor:
        cursor.execute(_PLAN)
        for table in tier.tables:
            cursor.execute(_upsert(tier, table), [starts, machines, *span])


def _upsert(tier: Tier, table: Table) -> sql.Composed:
    """Parameters: starts, machines, the first and the last moment of all of them."""
    is_gpu = "gpu" in table.key
    names = [metric.name for metric in (GPU_METRICS if is_gpu else MACHINE_METRICS)]
    lower = history_sql.below(tier)
    replaced = [f"{name}_{part}" for name in names for part in (*STATISTICS, "count")]
    return sql.SQL(_UPSERT).format(
        table=sql.Identifier(table.name),
        key=history_sql.identifiers(table.key),
        numbers=history_sql.columns(tier, names),
        group=sql.SQL("d.at, d.machine, r.gpu" if is_gpu else "d.at, d.machine"),
        aggregates=history_sql.aggregates(lower, names),
        # The index of the GPUs' tables has `gpu` before `at`: named, it is used in full.
        gpus=sql.SQL(_GPUS if is_gpu else ""),
        source=sql.Identifier((lower.gpu if is_gpu else lower.machine).name),
        of_gpu=sql.SQL("AND r.gpu = g.index" if is_gpu else ""),
        inside=history_sql.inside(tier),
        conflict=history_sql.identifiers([n for n in ("machine", "gpu", "at") if n in table.key]),
        values=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in replaced
        ),
        kept=sql.Identifier(_KEPT[tier.name]),
    )


_GPUS = """
JOIN (SELECT DISTINCT machine_id, index FROM metrics_gpuidentity) g ON g.machine_id = d.machine
"""
_UPSERT = """
INSERT INTO {table} AS stored ({key}, {numbers})
SELECT {group}, {aggregates}
FROM unnest(%s::timestamptz[], %s::int[]) d(at, machine) {gpus}
JOIN {source} r ON r.machine = d.machine {of_gpu} AND {inside}
WHERE r.at >= %s AND r.at <= %s
GROUP BY {group}
ON CONFLICT ({conflict}) DO UPDATE SET {values}
WHERE stored.at >= COALESCE(
    (SELECT m.{kept} FROM metrics_machine m WHERE m.id = stored.machine), '-infinity'
)
"""
