"""Bring the channels' addresses and secrets under the newest encryption key."""

import logging
from uuid import UUID

from django.db import transaction

from dgxsite import isolation
from dgxsite.crypto import SecretUnreadable
from notifications.models import Channel

logger = logging.getLogger(__name__)


def rotate_all() -> tuple[int, int]:
    """How many secrets were rotated, and of how many channels one could not be read."""
    rotated = unreadable = 0
    for key in list(Channel.objects.values_list("pk", flat=True)):
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
        row = Channel.objects.select_for_update().filter(pk=key).first()
        if row is None:
            return 0
        columns = row.rotate_secrets()
        row.save(update_fields=columns)
        return len(columns)
