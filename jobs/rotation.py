"""Bring the environments of jobs under the newest encryption key while the site runs."""

import logging
from uuid import UUID

from django.db import transaction

from dgxsite import isolation
from dgxsite.crypto import SecretUnreadable
from jobs.models import Job

logger = logging.getLogger(__name__)


def rotate_all() -> tuple[int, int]:
    """How many environments were rotated, and how many could not be read."""
    rotated = unreadable = 0
    rows = Job.objects.exclude(environment_encrypted="")
    for key in list(rows.values_list("pk", flat=True)):
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
        row = Job.objects.select_for_update().filter(pk=key).first()
        if row is None:
            return 0
        columns = row.rotate_secrets()
        # Not `save`: `updated_at` says when the job itself changed.
        Job.objects.filter(pk=key).update(**{name: getattr(row, name) for name in columns})
        return len(columns)
