"""What a test did to the database is undone; to the site the block is no transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_finished
from django.db import close_old_connections, transaction


@contextmanager
def undone() -> Iterator[None]:
    """Around requests of a test that is in a transaction already."""
    block: Any = transaction.atomic()
    block._from_testcase = True  # as Django's own TestCase marks its own
    with block:
        yield
        transaction.set_rollback(True)


def close_unread(answer: Any) -> None:
    """What a body owns is let go unread: its threads would not see what the test has written.

    The test's own connection stays open, as Django's client sees to where it reads a body.
    """
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)
