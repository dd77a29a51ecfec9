"""What can be said of jobs without their machine: that it is not seen. Needs no keeper.

A machine is seen when a keeper has just read its jobs there. For longer than `UNSEEN_SECONDS`
without that, its running jobs are `unknown`, and its waiting ones say what they wait for.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from connections.models import Status as ConnectionStatus
from jobs import announce
from jobs.models import Job, JobQuerySet
from jobs.states import Reason, Status

# More than a keeper's round of reports, less than the 15 s after which a machine may not be shown
# as reachable any more.
UNSEEN_SECONDS = 10.0
_SEEN = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})
_NOT_CONNECTED = "The machine is not connected."


def mark_unseen() -> int:
    """Say `unknown` of running jobs on machines that nobody sees; how many were marked."""
    limit = Now() - timedelta(seconds=UNSEEN_SECONDS * settings.TIME_SCALE)
    unseen = Q(connection__queue__seen_at__lt=limit) | Q(connection__queue__seen_at=None)
    rows = _rows(Job.objects.filter(unseen, status__in=_SEEN, updated_at__lt=limit))
    marked = sum(_mark(row) for row in rows)
    _say_why_jobs_wait()
    return marked


def _mark(row: Job) -> bool:
    detail = "The machine cannot be seen at the moment; the job goes on there."
    moved = row.move(
        Status.UNKNOWN,
        settings.SITE_ACTOR,
        "No keeper sees the machine.",
        reason=Reason.UNREACHABLE,
        detail=detail,
    )
    if moved:
        announce.job(row)
    return moved


def _say_why_jobs_wait() -> None:
    away = ~Q(connection__status=ConnectionStatus.CONNECTED)
    waiting = Job.objects.filter(away, status=Status.QUEUED).exclude(waiting_reason=_NOT_CONNECTED)
    for row in _rows(waiting):
        row.waiting_reason = _NOT_CONNECTED
        row.save(update_fields=["waiting_reason"])
        announce.job(row)


def _rows(rows: JobQuerySet) -> Iterable[Job]:
    return rows.select_related("connection__team", "requested_by")
