"""Rows of the history for the tests of exports, written as SQL beside everything under test."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from psycopg import sql

from connections.models import Connection
from metrics.history import partitions
from metrics.history.partitions import Table
from metrics.history.tiers import Tier
from metrics.models import Machine

METRICS = (
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "gpu_percent",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_watts",
    "network_rx_bytes_per_second",
    "network_tx_bytes_per_second",
)
Row = dict[str, Any]


def made_up(moments: Sequence[datetime], seed: int = 1) -> list[Row]:
    """A row for each moment: three values per metric, a fifth of them absent, some zero."""
    chance = random.Random(seed)
    rows = []
    for at in moments:
        row: Row = {"at": at}
        for metric in METRICS:
            mean = chance.choice([0.0, None, 12.5, chance.random() * 100, 1e6 * chance.random()])
            for statistic in ("avg", "min", "max"):
                row[f"{metric}_{statistic}"] = mean
        rows.append(row)
    return rows


def every(step: timedelta, count: int, last: datetime) -> list[datetime]:
    """`count` moments, `step` apart, the last one last."""
    return [last - step * back for back in reversed(range(count))]


def machine_key(machine: Connection) -> int:
    return Machine.objects.get_or_create(connection=machine)[0].pk


def insert(machine: Connection, tier: Tier, rows: Sequence[Row], gpu: int | None = None) -> None:
    """Put rows into the tier's table of machines, or into that of GPUs for one of them."""
    table = tier.machine if gpu is None else tier.gpu
    partitions.ensure(table, sorted({row["at"].date() for row in rows}))
    fixed = {"machine": machine_key(machine)} | ({} if gpu is None else {"gpu": gpu})
    if "readings" in table.key:
        fixed["readings"] = 10
    for row in rows:
        _insert(table, fixed | {name: row[name] for name in row if name in known(table)})


def known(table: Table) -> set[str]:
    return {"at", *table.numbers}


def _insert(table: Table, row: Row) -> None:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, list(row.values()))
