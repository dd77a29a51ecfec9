"""Begin and end without rows: of models after a test outside transactions, of stored numbers.

Deleting the few rows of a test takes a hundredth of what Django's own `flush` takes, which
truncates every table and then makes the content types and permissions anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.db import connection, transaction

from metrics.history import tiers
from usage import tables

# What `migrate` writes, the same for every test.
_KEPT = {"django_content_type", "auth_permission"}


def empty_models() -> None:
    """No row in any table of a model.

    Whoever still writes is waited for. Without triggers there is no order among the tables, and
    the audit trail lets go of its rows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_statements())


@cache
def _statements() -> str:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = [connection.ops.quote_name(name) for name in names if name not in _KEPT]
    begin = [
        "SET LOCAL session_replication_role = replica",
        f"LOCK TABLE {', '.join(quoted)} IN EXCLUSIVE MODE",
    ]
    return "; ".join([*begin, *(f"DELETE FROM {name}" for name in quoted)])


@contextmanager
def no_numbers() -> Iterator[None]:
    """Nothing in the history and in the ledger, before and afterwards.

    They live in partitioned tables that are no models; another test that ran before, whole sites
    with keepers among them, may have left some.
    """
    empty()
    yield
    empty()


def empty() -> None:
    # Few rows in many partitions: deleting them takes a tenth of what TRUNCATE takes.
    names = [table.name for table in (*tiers.TABLES, *tables.TABLES)]
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"DELETE FROM {name}" for name in names))
