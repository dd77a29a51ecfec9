"""What people do with jobs: called alike by pages, the API and the admin.

Each action finds the row among those the caller may see, asks the policy, writes the audit row and
the wish in one transaction, and wakes the keepers when that is committed. A job on a machine is
never touched from here: its keeper does what the row says.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Role
from accounts.policy import Caller, one
from connections.models import Connection
from connections.services import find as find_connection
from core.background.wakeup import KEEPERS, Wakeup
from core.errors import Conflict
from core.soft_delete import TrashQuerySet
from jobs import broadcast, inputs, lifecycle, standing
from jobs.models import ACTIVE, FINAL, WAITING, Job, JobChange, MachineQueue, Reason, Status
from projects import services as projects
from projects.models import Project

MOST_WAITING = 2000
# What may still be changed once a job has left the queue.
_HARMLESS = frozenset({"name", "model_name", "max_retries"})

wake_keepers = Wakeup("jobs.look", KEEPERS)


def visible(caller: Caller) -> QuerySet[Job]:
    """The rows that the caller may see, ready to be shown."""
    return Job.objects.visible_to(caller.user).select_related("connection__team", "requested_by")


def find(caller: Caller, job_id: UUID, action: str = "job.view") -> Job:
    """One row for one action."""
    return one(caller, visible(caller), job_id, action)


def create(caller: Caller, fields: inputs.Fields) -> Job:
    return add(caller, inputs.new(caller, fields), start=fields.get("start", True))


def add(caller: Caller, row: Job, *, start: bool) -> Job:
    """Store what `inputs.new` made, in the queue or waiting to be started."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        # Asked again: the check against the project's schema may have taken long.
        inputs.check_project(projects.find(caller, row.project_id, "job.create"))
        _check_room(row)
        row.status = Status.QUEUED if start else Status.PENDING
        row.queued_at = timezone.now() if start else None
        audit.record(caller, "job.create", row, project=str(row.project_id), start=start)
        row.save(force_insert=True)
        JobChange.objects.create(
            job=row, to_status=row.status, who=caller.user.get_username(), why="It was made."
        )
        _note_activity(row)
        _tell(row)
    return row


def start(caller: Caller, job_id: UUID) -> Job:
    """Put a pending job into the queue; one that is there already stays where it is."""
    row = find(caller, job_id, "job.start")
    if row.status == Status.QUEUED:
        return _taken_over(caller, row)
    inputs.check_project(row.project)
    with transaction.atomic():
        audit.record(caller, "job.start", row)
        _take_over(caller, row)
        if row.status != Status.PENDING or not row.move(
            Status.QUEUED, caller.user.get_username(), "Asked to start.", queued_at=timezone.now()
        ):
            raise Conflict(f"It is {row.status}; `retry` makes a new job of it.")
        _note_activity(row)
        _tell(row)
    return row


def _taken_over(caller: Caller, row: Job) -> Job:
    """A job in the queue, now the caller's if who asked for it may no longer."""
    if standing.standing_of([row]).objection(row) is None:
        return row
    with transaction.atomic():
        audit.record(caller, "job.start", row)
        _take_over(caller, row)
        _tell(row)
    return row


def _take_over(caller: Caller, row: Job) -> None:
    """Who starts a job of somebody who may no longer answers for it from now on."""
    if standing.standing_of([row]).objection(row) is not None:
        row.requested_by = caller.user
        row.save(update_fields=["requested_by", "updated_at"])


def stop(caller: Caller, job_id: UUID) -> Job:
    """Wish it ended. What waits is stopped at once; what runs, when its machine says so."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = _locked(caller, job_id, "job.stop")
        audit.record(caller, "job.stop", row)
        if row.is_final:
            raise Conflict(f"It has already ended: {row.status}.")
        _wish_stopped(row, caller.user.get_username())
        _tell(row)
    return row


def retry(caller: Caller, job_id: UUID) -> Job:
    """A new job that asks for the same; what waits for the old one then waits for the new."""
    old = find(caller, job_id, "job.retry")
    if not old.is_final:
        raise Conflict(f"It is {old.status}; only a job that has ended is tried again.")
    inputs.check_project(old.project)
    row = lifecycle.copy_of(old)
    row.requested_by = caller.user
    with transaction.atomic():
        audit.take_turn()
        _check_room(row)
        audit.record(caller, "job.retry", old, new=str(row.pk))
        lifecycle.enqueue_new(row, caller.user.get_username(), "Asked to try again.")
        lifecycle.inherit_followers(old, row)
        _note_activity(row)
        _tell(row)
    return row


def change(caller: Caller, job_id: UUID, fields: inputs.Fields) -> Job:
    """Change what was sent; once it has left the queue, only what its run does not depend on."""
    row = find(caller, job_id, "job.change")
    fields = inputs.unmasked(row, fields)
    inputs.check_config(caller, row.project, fields)
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = _locked(caller, job_id, "job.change")
        audit.record(caller, "job.change", row, fields=sorted(fields))
        if row.status not in WAITING and not _HARMLESS.issuperset(fields):
            raise Conflict(f"It is {row.status}: only its name and retries can still be changed.")
        inputs.fill(caller, row, fields)
        row.save(update_fields=[*_columns(fields), "updated_at"])
        _tell(row)
    return row


def delete(caller: Caller, job_id: UUID) -> None:
    """Into the trash for 30 days; what waits is stopped, what runs has to be stopped first."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = _locked(caller, job_id, "job.delete")
        audit.record(caller, "job.delete", row)
        if row.status in ACTIVE:
            raise Conflict("It runs; stop it first.")
        if row.status in WAITING:
            row.move(
                Status.STOPPED,
                caller.user.get_username(),
                "Deleted while it waited.",
                reason=Reason.STOPPED,
            )
        row.move_to_trash()
        _tell(row)


def restore(caller: Caller, job_id: UUID) -> Job:
    """Take it out of the trash."""
    row = one(caller, _in_trash(caller, Role.VIEWER), job_id, "job.delete")
    with transaction.atomic():
        audit.record(caller, "job.restore", row)
        row.take_from_trash()
        _tell(row)
    return row


def trash(caller: Caller) -> TrashQuerySet[Job]:
    """What the caller may take out of the trash again, the newest first."""
    return _in_trash(caller, Role.OPERATOR).order_by("-deleted_at")


def queue_of(caller: Caller, connection_id: UUID) -> MachineQueue:
    """The rules of a machine's queue."""
    return MachineQueue.of(find_connection(caller, connection_id, "job.view").pk)


def change_queue(caller: Caller, connection_id: UUID, fields: dict[str, Any]) -> MachineQueue:
    """Change the rules of a machine's queue, or pause it."""
    machine = find_connection(caller, connection_id, "queue.change")
    MachineQueue.of(machine.pk)
    with transaction.atomic():
        audit.record(caller, "queue.change", machine, **fields)
        row = MachineQueue.objects.select_for_update(no_key=True).get(pk=machine.pk)
        if "is_paused" in fields:
            row.note_pause(caller.user, is_paused=fields["is_paused"])
        for name, value in fields.items():
            setattr(row, name, value)
        row.save(update_fields=[*fields, "paused_by", "paused_at"])
        transaction.on_commit(wake_keepers)
    return row


def counts(ids: Collection[UUID]) -> dict[UUID, int]:
    """How many jobs each of these projects has."""
    rows = Job.objects.living().filter(project_id__in=ids).values("project_id")
    return {row["project_id"]: row["count"] for row in rows.annotate(count=Count("pk")).order_by()}


def refuse_while_running(project: Project) -> None:
    """A word before a project is deleted: not while something of it waits or runs."""
    if project.jobs.living().exclude(status__in=FINAL).exists():
        raise Conflict("Jobs of this project wait or run; stop them first.")


def _locked(caller: Caller, job_id: UUID, action: str) -> Job:
    """One row for one action, as it is until the transaction ends."""
    rows = visible(caller).select_for_update(of=("self",))
    return one(caller, rows, job_id, action)


def _wish_stopped(row: Job, who: str) -> None:
    row.request_stop()
    if row.status in WAITING:
        row.move(Status.STOPPED, who, "Stopped before it began.", reason="stopped")
    elif row.status == Status.RUNNING:
        row.move(Status.STOPPING, who, "Asked to stop.")


def _check_room(row: Job) -> None:
    """One machine, and one person on it and everywhere, have so many waiting jobs at most.

    Only what people ask for is counted against them: another try that the site makes is not lost.
    """
    waiting = Job.objects.filter(status__in=WAITING)
    here = waiting.filter(connection_id=row.connection_id)
    if here.count() >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} jobs wait for this machine already.")
    limits = (
        (here, settings.JOBS_WAITING_PER_MACHINE, " for this machine"),
        (waiting, settings.JOBS_WAITING, ""),
    )
    for jobs, most, where in limits:
        if jobs.filter(requested_by=row.requested_by).count() >= most:
            raise Conflict(f"{most} of your jobs wait{where} already; a person has no more room.")


def _columns(fields: inputs.Fields) -> list[str]:
    return ["environment_encrypted" if name == "environment" else name for name in fields]


def _note_activity(row: Job) -> None:
    MachineQueue.of(row.connection_id)
    Project.objects.filter(pk=row.project_id).update(last_activity_at=timezone.now())


def _in_trash(caller: Caller, role: Role) -> TrashQuerySet[Job]:
    machines = Connection.objects.visible_to(caller.user)
    if role == Role.OPERATOR:
        machines = Connection.objects.operable_by(caller.user)
    rows = Job.objects.in_trash().filter(connection__in=machines)
    return rows.select_related("connection__team", "requested_by")


def _tell(row: Job) -> None:
    """Once it is committed: to the browsers and to the keepers."""

    def tell() -> None:
        broadcast.job(row)
        wake_keepers()

    transaction.on_commit(tell)
