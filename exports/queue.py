"""A worker's share of the exports: what schedules are due, what waits, what was left behind.

PostgreSQL is the queue (`exports.claiming`). Several calls may run side by side; each process has a
few hands at most, because a machine that is off takes a quarter of a minute to say so.
"""

import logging
import threading
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.teams import given
from core.background import isolation
from exports import claiming, schedules, writer
from exports.models import SILENT, Export, State
from notifications import events

logger = logging.getLogger(__name__)

HANDS = 3
LOST = "The site was stopped while it was made."
BROKEN = "The site failed to make it; the site's log says why."

_hands = threading.BoundedSemaphore(HANDS)
_is_looking = threading.Lock()


def run() -> int:
    """Make all that waits; how many were made. Makes nothing when every hand is busy."""
    _look(timezone.now())
    if not _hands.acquire(blocking=False):
        return 0
    try:
        return _make_waiting()
    finally:
        _hands.release()


def _look(now: datetime) -> None:
    """What is due joins the queue also while every hand is busy, so that it is next in turn."""
    if not _is_looking.acquire(blocking=False):
        return
    try:
        give_up_lost(now)
        schedules.queue_due(now)
    finally:
        _is_looking.release()


def give_up_lost(now: datetime) -> int:
    """Fail what shows no sign of life any more: its process was killed. How many there were."""
    lost = Export.objects.filter(state=State.RUNNING, alive_at__lt=now - SILENT)
    count: int = lost.update(state=State.FAILED, finished_at=now, local_ok=False, local_error=LOST)
    return count


def _make_waiting() -> int:
    made, tried = 0, set[UUID]()
    while (export := claiming.claim(tried, _say_failed)) is not None:
        # No rest: what is claimed is made now, or fails and says so.
        made += isolation.each(
            [export], _make, name="making export", failed=_say_failed, rests=False
        )
    return made


def _make(export: Export) -> bool:
    if _is_refused(export):
        return False
    writer.make(export)
    if export.schedule_id is not None:
        _tell(export)
    return True


def _say_failed(export: Export, error: Exception) -> None:
    unfinished = Export.objects.filter(pk=export.pk, state__in=(State.WAITING, State.RUNNING))
    unfinished.update(
        state=State.FAILED, finished_at=timezone.now(), local_ok=False, local_error=BROKEN
    )


def give_up_exports_of(sender: Any, instance: User, **kwargs: Any) -> None:
    """Refuse what still waits of a person who is being deleted."""
    rows = Export.objects.filter(requested_by=instance, state=State.WAITING)
    _refuse(rows, given.may_no_more(None, "make exports here"))


def _is_refused(export: Export) -> bool:
    """Whether who asked for it has lost the right while it waited; it then says so and is over."""
    person = export.requested_by
    if person is None or given.still_may(person, "export.make", export.connection.team):
        return False
    rows = Export.objects.filter(pk=export.pk)
    _refuse(rows, given.may_no_more(person, "make exports here"))
    return True


def _refuse(rows: QuerySet[Export], why: str) -> None:
    rows.update(state=State.FAILED, finished_at=timezone.now(), local_ok=False, local_error=why)


def _tell(export: Export) -> None:
    """A scheduled export has nobody in front of it who would see that it failed."""
    reasons = {export.local_error, export.remote_error} - {""}
    if not reasons:
        return
    with transaction.atomic():
        events.notify(
            export.connection.team,
            "export_failed",
            f"The scheduled export of {export.connection.name} did not reach its place",
            " ".join(sorted(reasons)),
            link=f"/exports/?machine={export.connection_id}",
            subject=export.connection,
            dedupe_key=f"export-{export.pk}",
        )
