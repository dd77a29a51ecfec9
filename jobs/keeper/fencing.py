"""Writing about a machine's jobs: in one transaction, and only under the epoch that holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

# A keeper that is stopped in here would keep its successor out for as long as it sleeps, since a
# claim passes over locked rows: the database ends the transaction when the lease is over.
_HELD = """
SELECT set_config('idle_in_transaction_session_timeout', %s, true)
FROM connections_connection WHERE id = %s AND epoch = %s FOR SHARE
"""


class LeaseLost(Exception):
    """Another keeper has claimed the machine; what we know of it no longer counts."""


@contextmanager
def held(connection_id: UUID, epoch: int) -> Iterator[None]:
    """A transaction during which nobody can claim the machine; `LeaseLost` if somebody has.

    Who does nothing in it for longer than the lease loses it: `django.db.Error`.
    """
    patience = f"{round(settings.KEEPER_TTL_SECONDS * 1000)}ms"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_HELD, [patience, connection_id, epoch])
            if cursor.fetchone() is None:
                raise LeaseLost(str(connection_id))
        yield
