"""Writing about a machine's jobs: in one transaction, and only under the epoch that holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection, transaction

_HELD = "SELECT 1 FROM connections_connection WHERE id = %s AND epoch = %s FOR SHARE"


class LeaseLost(Exception):
    """Another keeper has claimed the machine; what we know of it no longer counts."""


@contextmanager
def held(connection_id: UUID, epoch: int) -> Iterator[None]:
    """A transaction during which nobody can claim the machine; `LeaseLost` if somebody has."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_HELD, [connection_id, epoch])
            if cursor.fetchone() is None:
                raise LeaseLost(str(connection_id))
        yield
