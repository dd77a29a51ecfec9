"""What a test did to the database is undone; to the site the block is no transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction


@contextmanager
def undone() -> Iterator[None]:
    """Around requests of a test that is in a transaction already."""
    block: Any = transaction.atomic()
    block._from_testcase = True  # as Django's own TestCase marks its own
    with block:
        yield
        transaction.set_rollback(True)
