"""The queue of one machine against the database: who starts is decided under a lock, once.

The row of the machine's queue is locked while it decides, and a grant is a conditional update of
the job, under the epoch of the keeper that holds the machine. So two keepers, and requests at the
same time, never start a job twice nor grant a GPU twice.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from jobs import fencing, queue
from jobs.devices import Device, Rules
from jobs.models import Job, MachineQueue
from jobs.states import FINAL, Status

DeviceReader = Callable[[Rules], Sequence[Device] | None]


def grant(connection_id: UUID, epoch: int, devices: DeviceReader) -> list[Job]:
    """Let start what may start; the rows that changed. Raises `fencing.LeaseLost`."""
    MachineQueue.of(connection_id)
    with fencing.held(connection_id, epoch):
        settings_row = MachineQueue.objects.select_for_update().get(pk=connection_id)
        waiting = _waiting(connection_id)
        if not waiting:
            return []
        machine = _machine(settings_row, devices)
        asked = [_asked(job) for job in waiting]
        decisions = {one.job_id: one for one in queue.decide(asked, machine, timezone.now())}
        return [job for job in waiting if _apply(job, decisions[job.pk])]


def rules_of(row: MachineQueue) -> Rules:
    return Rules(row.idle_percent, row.idle_bytes, row.hold_seconds * settings.TIME_SCALE)


def _waiting(connection_id: UUID) -> list[Job]:
    """The queue in its order."""
    rows = Job.objects.filter(connection_id=connection_id, status=Status.QUEUED)
    rows = rows.select_related("connection__team", "requested_by", "after", "project")
    return list(rows.order_by("-priority", "queued_at", "pk"))


def _machine(row: MachineQueue, devices: DeviceReader) -> queue.Machine:
    active = Job.objects.active().filter(connection_id=row.pk)
    granted: dict[str, str] = {}
    running: Counter[int] = Counter()
    for job in active.only("granted", "name", "requested_by"):
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


def _asked(job: Job) -> queue.Asked:
    gpus = job.gpus if isinstance(job.gpus, int) else tuple(str(key) for key in job.gpus)
    return queue.Asked(
        job_id=job.pk,
        gpus=gpus,
        wait_for_gpu=job.wait_for_gpu,
        person=job.requested_by_id,
        not_before=job.not_before,
        blocked=_blocked(job),
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
    if job.waiting_reason == decision.waiting_reason:
        return False
    job.waiting_reason = decision.waiting_reason
    Job.objects.filter(pk=job.pk, status=Status.QUEUED).update(
        waiting_reason=decision.waiting_reason[:1000]
    )
    return True
