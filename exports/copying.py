"""The answer of a COPY … TO STDOUT as pieces of about 64 KiB, in flat memory.

Each stream has a connection of its own, outside the pool: it lasts as long as the reader takes. So
few may go out to readers at once (`places`). The query ends with its reader: a reader that goes
away cancels it, one that takes nothing for a minute loses it. Raises `psycopg.Error` when the
database fails; what was given out until then is only a part of the answer.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
from django.db import connection
from psycopg import generators, sql, waiting
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus

from core.web import streaming
from core.web.slots import Places

PIECE_BYTES = 64 * 1024
STALLED_SECONDS = 60.0
_CANCEL_SECONDS = 2.0
# Each is a connection to the database, of which PostgreSQL has some hundred for all.
COPIES = Places("exports and bundles", in_all=16, per_person=4)

# What Django adds for itself.
_OF_DJANGO = ("context", "cursor_factory", "prepare_threshold")


async def pieces(statement: sql.Composable) -> AsyncGenerator[bytes]:
    """What `statement`, a COPY … TO STDOUT, prints. Each piece ends with a whole line."""
    link = await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True)
    patience = _Patience(link)
    try:
        await _begin(link, statement)
        reader = _Reader(link.pgconn)
        while not reader.has_ended:
            if piece := await link.wait(reader.piece()):
                patience.renew()
                yield piece
    finally:
        patience.end()
        await _end(link)


def places(person: int) -> ExitStack:
    """A place among the downloads and one among the copies, to be closed; `TooMany` otherwise."""
    with ExitStack() as taken:
        taken.enter_context(streaming.DOWNLOADS.take(person))
        taken.enter_context(COPIES.take(person))
        return taken.pop_all()


def _parameters() -> dict[str, Any]:
    parameters = connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name not in _OF_DJANGO}


async def _begin(link: psycopg.AsyncConnection[Any], statement: sql.Composable) -> None:
    link.pgconn.send_query(statement.as_bytes(link))
    (answer,) = await link.wait(generators.execute(link.pgconn))
    if answer.status != ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(answer)


class _Reader:
    """Lines of a COPY that has begun.

    libpq hands out a line at a time. Going through psycopg's own reader for each costs several
    times what PostgreSQL takes to make it.
    """

    def __init__(self, pgconn: Any) -> None:
        self._pgconn = pgconn
        self.has_ended = False

    def piece(self) -> PQGen[bytes]:
        """The next lines, 64 KiB and a bit of them; fewer, or none, only at the end."""
        lines: list[Any] = []
        size = 0
        read, keep = self._pgconn.get_copy_data, lines.append
        is_dry = False
        while size < PIECE_BYTES:
            length, line = read(1)
            if length > 0:
                keep(line)
                size += length
                is_dry = False
            elif length < 0:
                yield from self._check_end()
                break
            else:
                # Mostly the next lines are there already: looking is cheaper than waiting.
                if is_dry:
                    yield waiting.WAIT_R
                self._pgconn.consume_input()
                is_dry = True
        return b"".join(lines)

    def _check_end(self) -> PQGen[None]:
        """A COPY that was broken off looks like one that is complete, but for its result."""
        while self._pgconn.is_busy():
            yield waiting.WAIT_R
            self._pgconn.consume_input()
        answer = self._pgconn.get_result()
        if answer is not None and answer.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(answer)
        self.has_ended = True


async def _end(link: psycopg.AsyncConnection[Any]) -> None:
    if link.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            await link.cancel_safe(timeout=_CANCEL_SECONDS)
    await link.close()


class _Patience:
    """Ends the query when nobody has asked for the next piece for a while."""

    def __init__(self, link: psycopg.AsyncConnection[Any]) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(STALLED_SECONDS, self._give_up)

    def renew(self) -> None:
        self.end()
        self._timer = self._loop.call_later(STALLED_SECONDS, self._give_up)

    def end(self) -> None:
        self._timer.cancel()

    def _give_up(self) -> None:
        """Let both ends see that the connection is over; its number stays the event loop's."""
        with socket.socket(fileno=os.dup(self._link.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
