"""Nobody waits while holding what others need.

A process has a few connections to PostgreSQL (`DGX_DATABASE_POOL`) for all that it does. Whoever
waits for anything else – a machine, a name server, a program, a receiver of messages, a slow
reader – gives theirs back first; the next query takes one again. The doors to the outside do so by
themselves, so their callers need not think of it; `tests/test_doors_outside.py` lists the doors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from core.web import request_turns


@contextmanager
def outside_database() -> Iterator[None]:
    """Around a wait for something that is not PostgreSQL; see `give_back`. Also a decorator."""
    give_back()
    with request_turns.paused():
        yield


def give_back() -> None:
    """Return this thread's connections to the pool; costs nothing where there is none.

    Raises `RuntimeError` inside a transaction, which would hold its locks for as long as others
    take. A transaction that a test was put into counts as none, and its connection stays.
    """
    for connection in connections.all(initialized_only=True):
        blocks: list[Any] = connection.atomic_blocks
        if not all(block._from_testcase for block in blocks):
            raise RuntimeError("A wait outside PostgreSQL does not belong into a transaction.")
        if not connection.in_atomic_block:
            connection.close()
