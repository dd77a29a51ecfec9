"""Machines whose time in the trash is over are removed for good, with their credentials.

Each in a transaction of its own, audited first, so that one that cannot go holds up no other.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError

from accounts import audit
from connections.models import Connection
from core.background import isolation
from core.times import iso

logger = logging.getLogger(__name__)


def empty_trash(now: datetime) -> int:
    """Remove what was deleted more than 30 days before `now`; how many machines that were.

    A jump host stays until whatever is reached through it is gone.
    """
    due = Connection.objects.expired(now).filter(reached_through=None)
    keys = list(due.values_list("pk", flat=True))
    return isolation.each(keys, lambda key: _remove(key, now), name="removing connection")


def _remove(key: UUID, now: datetime) -> bool:
    """Whether it is gone now; it may have been restored or removed meanwhile."""
    try:
        with transaction.atomic():
            audit.take_turn()
            rows = Connection.objects.select_for_update(of=("self",)).select_related("team")
            row = rows.expired(now).filter(pk=key).first()
            if row is None or row.deleted_at is None:
                return False
            audit.record(None, "connection.purge", row, deleted_at=iso(row.deleted_at))
            row.delete()
    except ProtectedError as error:
        logger.warning("connection=%s stays in the trash: %s", key, error)
        return False
    return True
