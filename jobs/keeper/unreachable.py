"""What can be said of jobs without their machine: that it is not seen. Needs no keeper.

A machine is seen when a keeper has just read its jobs there. For longer than `UNSEEN_SECONDS`
without that, its running jobs are `unknown`, and its waiting ones say what they wait for.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from connections.models import Status as ConnectionStatus
from core.background import isolation
from jobs import broadcast
from jobs.log import store as log_store
from jobs.models import Job, JobQuerySet, Reason, Status

# More than a keeper's round of reports, less than the 15 s after which a machine may not be shown
# as reachable any more.
UNSEEN_SECONDS = 10.0
_SEEN = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})
_NOT_CONNECTED = "The machine is not connected."
_NOT_LOOKED_AT = "The queue of this machine has not been looked at yet."
# A queue is looked at every second or two; who waits longer is told so, and then it is an error.
UNTOLD_SECONDS = 2.5
FORGOTTEN_SECONDS = 5.0


def mark_unseen() -> int:
    """Say `unknown` of running jobs on machines that nobody sees; how many were marked."""
    limit = Now() - timedelta(seconds=UNSEEN_SECONDS * settings.TIME_SCALE)
    unseen = Q(connection__queue__seen_at__lt=limit) | Q(connection__queue__seen_at=None)
    rows = _rows(Job.objects.filter(unseen, status__in=_SEEN, updated_at__lt=limit))
    marked = isolation.each(rows, _mark, name="jobs of machines that nobody sees")
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
        log_store.seal(row)  # the machine may never be there again to be read once more
        broadcast.job(row)
    return moved


def _say_why_jobs_wait() -> None:
    away = ~Q(connection__status=ConnectionStatus.CONNECTED)
    waiting = Job.objects.filter(away, status=Status.QUEUED).exclude(waiting_reason=_NOT_CONNECTED)
    isolation.each(_rows(waiting), _say_not_connected, name="jobs of machines that are away")
    isolation.each(_rows(_untold()), _say_not_looked_at, name="jobs whose queue nobody looked at")


def _say_not_connected(row: Job) -> None:
    _say(row, _NOT_CONNECTED)


def _say_not_looked_at(row: Job) -> None:
    _say(row, _NOT_LOOKED_AT)


def _say(row: Job, reason: str) -> None:
    changed = Job.objects.filter(pk=row.pk, status=Status.QUEUED, waiting_reason=row.waiting_reason)
    if changed.update(waiting_reason=reason):
        row.waiting_reason = reason
        broadcast.job(row)


def _untold(
    ids: Collection[UUID] | None = None,
    seconds: float = UNTOLD_SECONDS,
    *,
    told: tuple[str, ...] = (),
) -> JobQuerySet:
    """Jobs that wait on connected machines, of which no keeper has said why, or only `told`."""
    since = Now() - timedelta(seconds=seconds * settings.TIME_SCALE)
    rows = Job.objects.filter(
        status=Status.QUEUED,
        queued_at__lt=since,
        connection__status=ConnectionStatus.CONNECTED,
        connection__connected_at__lt=since,
        waiting_reason__in=("", _NOT_CONNECTED, *told),
    )
    return rows if ids is None else rows.filter(connection_id__in=ids)


def forgotten(ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Of these machines those with a job that waits unseen for too long, and one such job each."""
    rows = _untold(ids, FORGOTTEN_SECONDS, told=(_NOT_LOOKED_AT,))
    return dict(rows.values_list("connection_id", "pk"))


def _rows(rows: JobQuerySet) -> Iterable[Job]:
    return rows.select_related("connection__team", "requested_by")
