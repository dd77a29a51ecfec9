"""A worker's share of the exports: what schedules are due, what waits, what was left behind.

PostgreSQL is the queue: a row is claimed by a conditional update, so it is made once however many
workers look. Several calls may run side by side; each process has a few hands at most, because a
machine that is off takes a quarter of a minute to say so.
"""

import logging
import threading
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import given
from exports import making, schedules
from exports.models import SILENT, Export, State
from notifications import events

logger = logging.getLogger(__name__)

HANDS = 3
LOST = "The site was stopped while it was made."

_hands = threading.BoundedSemaphore(HANDS)


def run() -> int:
    """Make all that waits; how many were made. Returns at once when every hand is busy."""
    if not _hands.acquire(blocking=False):
        return 0
    try:
        now = timezone.now()
        give_up_lost(now)
        schedules.queue_due(now)
        return _make_waiting()
    finally:
        _hands.release()


def give_up_lost(now: datetime) -> int:
    """Fail what shows no sign of life any more: its process was killed. How many there were."""
    lost = Export.objects.filter(state=State.RUNNING, alive_at__lt=now - SILENT)
    count: int = lost.update(state=State.FAILED, finished_at=now, local_ok=False, local_error=LOST)
    return count


def _make_waiting() -> int:
    made = 0
    while (export := _next()) is not None:
        if not export.begin() or _is_refused(export):
            continue
        making.make(export)
        made += 1
        if export.schedule_id is not None:
            _tell(export)
    return made


def _is_refused(export: Export) -> bool:
    """Whether who asked for it has lost the right while it waited; it then says so and is over."""
    person = export.requested_by
    if person is None or given.still_may(person, "export.make", export.connection.team):
        return False
    Export.objects.filter(pk=export.pk).update(
        state=State.FAILED,
        finished_at=timezone.now(),
        local_ok=False,
        local_error=given.may_no_more(person, "make exports here"),
    )
    return True


def _next() -> Export | None:
    rows = Export.objects.filter(state=State.WAITING)
    rows = rows.select_related("connection__team", "requested_by")
    found: Export | None = rows.order_by("created_at").first()
    return found


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
