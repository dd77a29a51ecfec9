"""The queue of one machine against the database: who starts is decided under a lock, once.

The row of the machine's queue is locked while it decides, and a grant is a conditional update of
the job, under the epoch of the keeper that holds the machine. So two keepers, and requests at the
same time, never start a job twice nor grant a GPU twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from dgxsite import cleaner
from jobs import estimating, fencing, queue
from jobs.devices import Device, Rules
from jobs.models import Job, MachineQueue
from jobs.standing import Standing, standing_of
from jobs.states import FINAL, Status

# An estimate that moved by less is no news.
ESTIMATE_STEP = timedelta(seconds=30)
LONGEST_REASON = 1000

DeviceReader = Callable[[Rules], Sequence[Device] | None]


def grant(connection_id: UUID, epoch: int, devices: DeviceReader) -> list[Job]:
    """Let start what may start; the rows that changed. Raises `fencing.LeaseLost`."""
    if not Job.objects.filter(connection_id=connection_id, status=Status.QUEUED).exists():
        return []
    MachineQueue.of(connection_id)
    with fencing.held(connection_id, epoch):
        settings_row = MachineQueue.objects.select_for_update().get(pk=connection_id)
        waiting = _waiting(connection_id)
        if not waiting:
            return []
        active = list(Job.objects.active().filter(connection_id=connection_id))
        machine = _machine(settings_row, active, devices)
        standing = standing_of(waiting)
        asked = {job.pk: _asked(job, standing) for job in waiting}
        now = timezone.now()
        decisions = {one.job_id: one for one in queue.decide(list(asked.values()), machine, now)}
        changed = [job for job in waiting if _apply(job, decisions[job.pk])]
        left = [job for job in waiting if job.status == Status.QUEUED]
        return changed + _estimate(left, asked, machine, active, now, known=changed)


def rules_of(row: MachineQueue) -> Rules:
    return Rules(row.idle_percent, row.idle_bytes, row.hold_seconds * settings.TIME_SCALE)


def _waiting(connection_id: UUID) -> list[Job]:
    """The queue in its order."""
    rows = Job.objects.filter(connection_id=connection_id, status=Status.QUEUED)
    rows = rows.select_related("connection__team", "requested_by", "after", "project")
    return list(rows.order_by("-priority", "queued_at", "pk"))


def _machine(row: MachineQueue, active: Sequence[Job], devices: DeviceReader) -> queue.Machine:
    granted: dict[str, str] = {}
    running: Counter[int] = Counter()
    for job in active:
        granted |= dict.fromkeys(job.granted or (), job.name)
        if job.requested_by_id is not None:
            running[job.requested_by_id] += 1
    return queue.Machine(
        devices=devices(rules_of(row)),
        granted=granted,
        running=running,
        is_paused=row.is_paused,
        per_person=row.per_person,
    )


def _asked(job: Job, standing: Standing) -> queue.Asked:
    gpus = job.gpus if isinstance(job.gpus, int) else tuple(str(key) for key in job.gpus)
    return queue.Asked(
        job_id=job.pk,
        gpus=gpus,
        wait_for_gpu=job.wait_for_gpu,
        person=job.requested_by_id,
        not_before=job.not_before,
        blocked=standing.objection(job) or _blocked(job),
    )


def _blocked(job: Job) -> str | None:
    """Why the job before it holds it up; None once that is completed."""
    before = job.after
    if before is None or before.status == Status.COMPLETED:
        return None
    if before.status in FINAL:
        return f"It comes after the job “{before.name}”, which ended as {before.status}."
    return f"It comes after the job “{before.name}”, which is {before.status}."


def _apply(job: Job, decision: queue.Decision) -> bool:
    """Write a decision; whether that changed anything."""
    if decision.granted is not None:
        return job.move(
            Status.STARTING,
            settings.SITE_ACTOR,
            "The queue let it start.",
            granted=list(decision.granted),
            waiting_reason="",
        )
    reason = cleaner.line(decision.waiting_reason, LONGEST_REASON)
    if job.waiting_reason == reason:
        return False
    job.waiting_reason = reason
    Job.objects.filter(pk=job.pk, status=Status.QUEUED).update(waiting_reason=reason)
    return True


def _estimate(
    waiting: Sequence[Job],
    asked: Mapping[UUID, queue.Asked],
    machine: queue.Machine,
    active: Sequence[Job],
    now: datetime,
    *,
    known: Sequence[Job],
) -> list[Job]:
    """Write when waiting jobs will probably start; those of which that is the only news."""
    ends = {key: _end(job, now) for job in active for key in job.granted or ()}
    free_at = {
        device.key: ends.get(device.key, None if device.use else now)
        for device in machine.devices or ()
        if not device.is_split
    }
    order = [estimating.Waiting(asked[job.pk], _limit(job)) for job in waiting]
    found = {} if machine.is_paused else estimating.estimate(order, free_at, now)
    news = [job for job in waiting if _is_news(job.estimated_start_at, found.get(job.pk))]
    for job in news:
        job.estimated_start_at = found.get(job.pk)
        Job.objects.filter(pk=job.pk).update(estimated_start_at=job.estimated_start_at)
    return [job for job in news if job not in known]


def _limit(job: Job) -> timedelta | None:
    return timedelta(minutes=job.max_minutes) if job.max_minutes else None


def _end(job: Job, now: datetime) -> datetime | None:
    limit = _limit(job)
    return None if limit is None else max(now, (job.started_at or now) + limit)


def _is_news(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > ESTIMATE_STEP
