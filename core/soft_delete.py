"""Deleted rows lie in the trash for 30 days and come back as they were; then they go for good.

A model in the trash is a `SoftDeleted` with a manager made of `TrashQuerySet`. Who may delete,
restore or see the trash, and what else happens then, is for its app's services to say; when a row
goes for good, its app's purge asks for those that are `expired`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self, TypeVar
from uuid import UUID

from django.db import models
from django.utils import timezone

PERIOD = timedelta(days=30)
# As long after a deletion the next page offers to take it back.
UNDO = timedelta(minutes=5)


class SoftDeleted(models.Model):
    """A model whose rows go to the trash first."""

    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def move_to_trash(self) -> None:
        self._set_deleted_at(timezone.now())

    def take_from_trash(self) -> None:
        self._set_deleted_at(None)

    def _set_deleted_at(self, at: datetime | None) -> None:
        self.deleted_at = at
        names = {field.name for field in self._meta.concrete_fields}
        self.save(update_fields=sorted({"deleted_at", "updated_at"} & names))


Row = TypeVar("Row", bound=SoftDeleted)


class TrashQuerySet(models.QuerySet[Row]):
    def living(self) -> Self:
        """Not in the trash."""
        return self.filter(deleted_at__isnull=True)

    def in_trash(self) -> Self:
        """What can come back."""
        return self.filter(deleted_at__gte=timezone.now() - PERIOD)

    def expired(self, now: datetime) -> Self:
        """What is to go for good."""
        return self.filter(deleted_at__lt=now - PERIOD)

    def just_deleted(self, named: str) -> Row | None:
        """The row that a page's `?deleted=` names, if it was deleted a moment ago."""
        try:
            wanted = UUID(named)
        except ValueError:
            return None
        return self.filter(pk=wanted, deleted_at__gte=timezone.now() - UNDO).first()


def last_days(rows: Iterable[Row]) -> list[tuple[Row, datetime]]:
    """Each row of the trash, and when it goes for good."""
    return [(row, row.deleted_at + PERIOD) for row in rows if row.deleted_at]
