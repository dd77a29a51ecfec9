"""A program: a year of raw rows for one machine, exported and copied with psql in turn.

Prints its figures as one line of JSON. It works in the bench's own database and nowhere else.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

import django

django.setup()

import psutil  # noqa: E402 (the rest needs the apps)
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from psycopg import sql  # noqa: E402

from accounts.models import Team  # noqa: E402
from connections.models import Connection  # noqa: E402
from dgxsite.up import preparation  # noqa: E402
from exports import formats, plan, rows  # noqa: E402
from metrics.history import query as history_query  # noqa: E402
from metrics.history import tiers  # noqa: E402
from metrics.models import Machine  # noqa: E402

TURNS = 3
FORMATS = ("json", "parquet", "sqlite")
_STEP = timedelta(seconds=tiers.RAW.resolution_seconds)


@dataclass(frozen=True, slots=True)
class Run:
    """One export: seconds to the end and to the first byte, its bytes, growth of the memory."""

    seconds: float
    first_byte_seconds: float
    size_bytes: int
    growth_bytes: int


def main(count: int) -> dict[str, Any]:
    wanted = _plan(_machine(count), count)
    selected = rows.select(wanted)
    asyncio.run(_run(wanted, selected))  # the table is in memory for both from here on
    ours, psql = [], []
    for _ in range(TURNS):
        ours.append(asdict(asyncio.run(_run(wanted, selected))))
        psql.append(_psql(selected))
    others = {}
    for format_ in FORMATS:
        other = _plan(wanted_connection(), count, format_)
        others[format_] = asdict(asyncio.run(_run(other, selected)))
    return {"rows": count, "csv": ours, "psql_seconds": psql, "others": others}


def _machine(count: int) -> Connection:
    """A machine with `count` raw rows of made-up numbers, the last one now."""
    preparation.migrate()
    Connection.objects.all().delete()
    row = Connection.objects.create(team=Team.default(), name="year", hostname="192.0.2.1")
    key = Machine.objects.create(connection=row).pk
    start = tiers.RAW.start_of(datetime.now(UTC)) - count * _STEP
    days = (count * _STEP).days + 2
    tiers.ensure_days([(start + timedelta(days=day)).date() for day in range(days)])
    table = tiers.RAW.machine
    values = sql.SQL(", ").join([sql.SQL("(random() * 100)::real")] * len(table.numbers))
    names = sql.SQL(", ").join(map(sql.Identifier, table.numbers))
    statement = sql.SQL(
        "INSERT INTO {} (at, machine, readings, {}) "
        "SELECT {} + n * {}, {}, 10, {} FROM generate_series(1, {}) n"
    ).format(sql.Identifier(table.name), names, start, _STEP, key, values, count)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("ANALYZE")
    return row


def wanted_connection() -> Connection:
    return Connection.objects.get(name="year")


def _plan(row: Connection, count: int, format_: str = "csv") -> plan.Plan:
    now = datetime.now(UTC)
    span = history_query.Span(now - (count + 2) * _STEP, now)
    return plan.of_span(row, span, tiers.RAW, format_, now)


async def _run(wanted: plan.Plan, selected: sql.Composed) -> Run:
    process = psutil.Process()
    before = most = process.memory_info().rss
    began = time.perf_counter()
    first, size = None, 0
    async for piece in formats.body(wanted, selected):
        first = first or time.perf_counter() - began
        size += len(piece)
        most = max(most, process.memory_info().rss)
    return Run(time.perf_counter() - began, first or 0.0, size, most - before)


def _psql(selected: sql.Composed) -> float:
    """Seconds that `psql \\copy` takes for the same SELECT, into nothing."""
    parameters = connection.get_connection_params()
    target = {
        name: str(parameters[name])
        for name in ("host", "port", "user", "dbname")
        if name in parameters
    }
    text = " ".join(selected.as_string(connection.connection).split())
    began = time.perf_counter()
    subprocess.run(
        [
            str(shutil.which("psql")), "-qX",
            " ".join(f"{name}={value}" for name, value in target.items()),
            "-c", f"\\copy ({text}) TO '/dev/null' WITH (FORMAT csv, HEADER)",
        ],
        check=True,
    )  # fmt: skip
    return time.perf_counter() - began


if __name__ == "__main__":
    temporary = Path(tempfile.gettempdir()).resolve()
    assert temporary in settings.DATA_DIR.parents, "not the database of a bench"
    assert settings.EMBEDDED_DATABASE, "not the database of a bench"
    print(json.dumps(main(int(sys.argv[1]))))
