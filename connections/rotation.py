"""Bring every stored secret under the newest encryption key while the site runs."""

import logging
from uuid import UUID

from django.db import transaction

from connections.models import Connection
from dgxsite import isolation
from dgxsite.crypto import SecretUnreadable

logger = logging.getLogger(__name__)


def rotate_all() -> tuple[int, int]:
    """Re-encrypt row by row; how many secrets were rotated and how many could not be read.

    Each row is locked only for its own short transaction, so that a change by somebody else is
    neither lost nor held up. Rows in the trash are rotated too: they may come back.
    """
    rotated = unreadable = 0
    for key in list(Connection.objects.values_list("pk", flat=True)):
        try:
            rotated += _rotate(key)
        except SecretUnreadable:
            unreadable += 1
        except Exception as error:
            # One row that cannot be rotated keeps no other from its new key.
            if isolation.is_down(error):
                raise
            logger.exception("%s: its secrets were not rotated", key)
            unreadable += 1
    return rotated, unreadable


def _rotate(key: UUID) -> int:
    with transaction.atomic():
        row = Connection.objects.select_for_update().filter(pk=key).first()
        if row is None:
            return 0
        columns = row.rotate_secrets()
        if columns:
            row.save(update_fields=columns)
        return len(columns)
