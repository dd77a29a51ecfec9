"""The four formats of a range export: its rows as they come out of the database, as a file's bytes.

CSV and JSON are made by PostgreSQL and only passed on. Parquet is written in row groups to a buffer
that is emptied after each. SQLite needs a file: it is built in the exports folder and removed as
soon as it is open for sending; an answer has it `built` before its first byte, while what goes
wrong can still be told. Memory stays flat in all of them. A database that fails is a
`psycopg.Error`, a disk that is full a `NotStored`; what went out by then is no whole file.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import BinaryIO

import orjson
from psycopg import sql

from core.web import streaming
from exports import copying, sqlite, storage
from exports.plan import Plan

Body = AsyncGenerator[bytes]

_CSV = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, HEADER {})")
# A line of COPY's text format is the value itself while it holds no backslash, which numbers and
# times never do.
_JSON_LINES = sql.SQL("COPY (SELECT row_to_json(row) FROM ({}) AS row) TO STDOUT")
# Some 20,000 rows: enough for a row group that compresses, little enough to hold twice.
_GROUP_BYTES = 2 * 1024 * 1024


def body(plan: Plan, rows: sql.Composed) -> Body:
    """The bytes of the file for `plan`; `rows` is of `rows.select`."""
    return _BODIES[plan.format](plan, rows)


async def collected(body: Body) -> bytes:
    """All of it at once; only for what is known to be small."""
    async with aclosing(body) as pieces:
        return b"".join([piece async for piece in pieces])


def csv_statement(rows: sql.Composable, *, with_header: bool = True) -> sql.Composed:
    """The COPY that prints `rows` as RFC 4180 lines."""
    return _CSV.format(rows, sql.SQL(str(with_header)))


async def _csv(plan: Plan, rows: sql.Composed) -> Body:
    async with aclosing(copying.pieces(csv_statement(rows))) as pieces:
        async for piece in pieces:
            yield piece


async def _json(plan: Plan, rows: sql.Composed) -> Body:
    yield orjson.dumps(plan.described())[:-1] + b',"data_points":'
    async with aclosing(points(rows)) as pieces:
        async for piece in pieces:
            yield piece
    yield b"}\n"


async def points(rows: sql.Composed) -> Body:
    """The rows as a JSON list of objects."""
    between = b"["
    async with aclosing(copying.pieces(_JSON_LINES.format(rows))) as pieces:
        async for piece in pieces:
            yield between + piece[:-1].replace(b"\n", b",\n")
            between = b",\n"
    yield b"]" if between != b"[" else b"[]"


async def _parquet(plan: Plan, rows: sql.Composed) -> Body:
    from exports import parquet

    writer = await streaming.in_thread(parquet.of_plan, plan)
    async with aclosing(groups(rows)) as parts:
        async for group in parts:
            yield await streaming.in_thread(writer.add, group)
    yield await streaming.in_thread(writer.end)


async def built(plan: Plan, rows: sql.Composed) -> BinaryIO:
    """The whole SQLite file; its name is gone already, and the file goes when it is closed."""
    with storage.scratch() as directory:
        path = directory / "metrics.sqlite"
        await _fill(path, plan, rows)
        return path.open("rb")


async def of_file(file: BinaryIO) -> Body:
    """What `built` has made."""
    with file:
        while piece := await streaming.in_thread(file.read, storage.PIECE_BYTES):
            yield piece


async def _sqlite(plan: Plan, rows: sql.Composed) -> Body:
    async with aclosing(of_file(await built(plan, rows))) as pieces:
        async for piece in pieces:
            yield piece


async def _fill(path: Path, plan: Plan, rows: sql.Composed) -> None:
    with closing(await streaming.in_thread(sqlite.Writer, path, plan)) as writer:
        async with aclosing(groups(rows)) as parts:
            async for group in parts:
                await streaming.in_thread(writer.add, group)


_BODIES: Mapping[str, Callable[[Plan, sql.Composed], Body]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "sqlite": _sqlite,
}


async def groups(rows: sql.Composed) -> Body:
    """The rows as CSV without a header, in large pieces of whole lines."""
    kept = bytearray()
    async with aclosing(copying.pieces(csv_statement(rows, with_header=False))) as pieces:
        async for piece in pieces:
            kept += piece
            if len(kept) >= _GROUP_BYTES:
                yield bytes(kept)
                kept.clear()
    if kept:
        yield bytes(kept)
