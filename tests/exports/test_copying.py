"""The stream under every export: flat memory, whole lines, and an end for whoever goes away."""

import asyncio
from contextlib import aclosing

import psutil
import psycopg
import pytest
from django.db import connection
from psycopg import sql

from accounts.policy import Caller
from core.errors import TooMany
from core.web.slots import Places
from exports import copying, ranges
from exports.schemas import RangeQuery
from tests.exports.conftest import Lab

MIB = 1024**2
# Lines of some 180 bytes, as an export has them; the word makes the query findable.
_LINES = "COPY (SELECT generate_series(1, {}), repeat('x', 170) AS findable) TO STDOUT"


def lines(count: int) -> sql.Composed:
    return sql.SQL(_LINES).format(count)


@pytest.fixture(autouse=True)
def _outside_transactions(transactional_db: None) -> None:
    """What is counted here is what others see."""


def running() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE query LIKE '%%findable%%' AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone()
        return int(count)


async def until_none_runs() -> None:
    for _ in range(100):
        if await asyncio.to_thread(_counted) == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the query goes on")


def _counted() -> int:
    try:
        return running()
    finally:
        connection.close()


async def test_gives_every_line_once_in_pieces_of_whole_lines() -> None:
    pieces = [piece async for piece in copying.pieces(lines(20_000))]
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert max(map(len, pieces)) < copying.PIECE_BYTES + 1024
    numbers = [int(line.split(b"\t")[0]) for line in b"".join(pieces).splitlines()]
    assert numbers == list(range(1, 20_001))


async def test_nothing_is_nothing() -> None:
    assert [piece async for piece in copying.pieces(lines(0))] == []


async def test_memory_stays_flat() -> None:
    process, size, most = psutil.Process(), 0, 0
    async for piece in copying.pieces(lines(1_000)):
        size += len(piece)
    before = process.memory_info().rss
    async for piece in copying.pieces(lines(600_000)):
        size += len(piece)
        most = max(most, process.memory_info().rss)
    assert size > 100 * MIB
    assert most - before <= 16 * MIB


async def test_a_reader_that_goes_away_ends_the_query() -> None:
    async with aclosing(copying.pieces(lines(50_000_000))) as pieces:
        await anext(pieces)
        assert await asyncio.to_thread(_counted) == 1
    await until_none_runs()


async def test_a_request_that_is_cancelled_ends_the_query() -> None:
    async def read() -> None:
        async for _ in copying.pieces(lines(50_000_000)):
            await asyncio.sleep(0)

    task = asyncio.create_task(read())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_none_runs()


async def test_a_reader_that_takes_nothing_loses_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copying, "STALLED_SECONDS", 0.1)
    async with aclosing(copying.pieces(lines(50_000_000))) as pieces:
        await anext(pieces)
        await asyncio.sleep(0.3)
        with pytest.raises(psycopg.Error):
            _ = [piece async for piece in pieces]  # what was on its way comes before the end
    await until_none_runs()


async def test_a_failure_in_the_middle_is_no_end() -> None:
    broken = sql.SQL("COPY (SELECT 1 / (5000 - n) FROM generate_series(1, 9000) n) TO STDOUT")
    with pytest.raises(psycopg.errors.DivisionByZero):
        _ = [piece async for piece in copying.pieces(broken)]


def test_a_few_at_a_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test's client may have left a download open.
    monkeypatch.setattr(copying, "COPIES", Places("exports", in_all=3, per_person=2))
    viewer, operator = Caller(lab.people["viewer"]), Caller(lab.people["operator"])
    open_ = [
        ranges.download_range(caller, lab.machine.pk, RangeQuery())
        for caller in (viewer, viewer, operator)
    ]
    for caller in (viewer, operator):
        with pytest.raises(TooMany):
            ranges.download_range(caller, lab.machine.pk, RangeQuery())
    for answer in open_:
        answer.close()
        answer.close()  # twice gives one place free
    assert copying.COPIES.taken == 0
    ranges.download_range(viewer, lab.machine.pk, RangeQuery()).close()
