"""The pool of the product, which the tests' settings leave out, for those that count it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from psycopg_pool import ConnectionPool


@contextmanager
def pool(size: int = 4, timeout: float = 5.0) -> Iterator[ConnectionPool]:
    """Every thread takes its connections from a pool for the length of the block.

    For tests outside transactions: they and the pool's threads see only what is committed.
    """
    options = settings.DATABASES["default"]["OPTIONS"]
    connection.close()
    options["pool"] = {"min_size": 1, "max_size": size, "timeout": timeout}
    found: ConnectionPool = connection.pool  # type: ignore[attr-defined]  # PostgreSQL's alone
    try:
        found.open(wait=True)
        yield found
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        del options["pool"]


def taken(pool: ConnectionPool) -> int:
    """How many connections somebody has at this moment."""
    stats = pool.get_stats()
    return int(stats.get("pool_size", 0)) - int(stats.get("pool_available", 0))
