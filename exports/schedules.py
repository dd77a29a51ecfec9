"""Exports at set times: rows of django-celery-beat with the times, rows of ours with the work.

The times stand in `CrontabSchedule` and `PeriodicTask`; the site's own clock stays the plain one
(docs/exports.md says why), and every few seconds a worker looks which schedules are due. A turn is
claimed by moving `next_run_at` on, so two clocks never export twice; turns that nobody was there to
take are made up for by one. A schedule has one export at a time: a turn that comes while the one
before has not ended is skipped, and the schedule says so.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from accounts import audit
from accounts.policy import Caller, forbidden, may
from connections import services as connections
from core.background import isolation
from core.errors import Conflict, Invalid, NotFound
from core.soft_delete import TrashQuerySet
from exports import cron, room
from exports.models import UNFINISHED, Export, ExportSchedule, Kind
from exports.services import check

TASK = "exports.run_schedule"
# What keeps a team from filling the disk by a slip.
MOST_PER_MACHINE = 20
_NOT_ENDED = "The export before it had not ended."
_OF_A_TURN = ("periodic_task__crontab", "connection__team", "created_by")


def visible(caller: Caller) -> QuerySet[ExportSchedule]:
    """The schedules that the caller may see, ready to be shown, the next one first."""
    rows: QuerySet[ExportSchedule] = ExportSchedule.objects.visible_to(caller.user)
    return rows.select_related("connection__team", "periodic_task__crontab", "created_by")


def create(
    caller: Caller,
    connection_id: UUID,
    *,
    kind: str,
    range_: str | None,
    format_: str,
    times: str,
    keep_days: int = 90,
    keep_count: int = 30,
) -> ExportSchedule:
    """Add one; `times` is a preset or five fields of cron. `Invalid` for what makes no sense."""
    connection = connections.find(caller, connection_id, "export.make")
    check(kind, range_, format_)
    fields = cron.fields(times)
    first = cron.next_after(fields, timezone.now())
    assert first is not None, "`fields` refuses what never comes"
    row = ExportSchedule(
        connection=connection,
        kind=kind,
        range=range_ or "",
        format=format_,
        next_run_at=first,
        keep_days=keep_days,
        keep_count=keep_count,
        created_by=caller.user,
    )
    with transaction.atomic():
        # Who has written an audit row is the only one until the end, so the count is exact.
        audit.record(caller, "export.schedule", connection, kind=kind, format=format_, cron=times)
        if _has_enough(connection.pk):
            raise Invalid.field("connection_id", f"A machine has at most {MOST_PER_MACHINE}.")
        row.periodic_task = _periodic_task(row, fields)
        row.save(force_insert=True)
    return row


def delete(caller: Caller, schedule_id: UUID) -> ExportSchedule:
    """Stop it; it can be brought back for 30 days. What it has made stays."""
    row = visible(caller).filter(pk=schedule_id).first()
    return _switch(caller, row, "export.schedule_delete", on=False)


def restore(caller: Caller, schedule_id: UUID) -> ExportSchedule:
    """Go on with it, from its next time on."""
    row = in_trash(caller).filter(pk=schedule_id).first()
    return _switch(caller, row, "export.schedule_restore", on=True)


def in_trash(caller: Caller) -> TrashQuerySet[ExportSchedule]:
    """What was stopped in the last 30 days."""
    rows: TrashQuerySet[ExportSchedule] = ExportSchedule.objects.in_trash_for(caller.user)
    return rows.select_related("connection__team", "periodic_task__crontab")


def queue_due(now: datetime) -> int:
    """Put an export into the queue for each schedule whose time has come; how many."""
    due = ExportSchedule.objects.living().filter(
        next_run_at__lte=now, periodic_task__enabled=True, connection__deleted_at=None
    )
    rows = due.select_related(*_OF_A_TURN)
    return isolation.each(rows, lambda row: _take_turn(row, now), name="the turn of schedule")


def run_one(schedule_id: UUID, now: datetime) -> bool:
    """Take one schedule's turn if it is due; for whoever runs django-celery-beat's own clock."""
    rows = ExportSchedule.objects.living().select_related(*_OF_A_TURN)
    row = rows.filter(pk=schedule_id, next_run_at__lte=now).first()
    return row is not None and _take_turn(row, now)


def _take_turn(row: ExportSchedule, now: datetime) -> bool:
    following = cron.next_after(_fields_of(row), now)
    with transaction.atomic():
        claimed = ExportSchedule.objects.filter(pk=row.pk, next_run_at=row.next_run_at)
        why = _why_skipped(row)
        said = f"Its last turn was skipped. {why}" if why else ""
        if following is None or not claimed.update(next_run_at=following, skipped_because=said):
            return False
        if why or row.objection is not None:
            return False  # its page says why; whoever brings it back answers for an objection
        Export.objects.create(
            connection_id=row.connection_id,
            schedule=row,
            due_at=row.next_run_at,
            kind=row.kind,
            range=row.range,
            format=row.format,
            requested_by=row.created_by,
        )
    return True


def _why_skipped(row: ExportSchedule) -> str | None:
    if row.exports.filter(state__in=UNFINISHED).exists():
        return _NOT_ENDED
    return room.full_machine(row.connection_id)


def _has_enough(connection_id: UUID) -> bool:
    rows = ExportSchedule.objects.living().filter(connection=connection_id)
    return rows.count() >= MOST_PER_MACHINE


def _switch(caller: Caller, row: ExportSchedule | None, action: str, *, on: bool) -> ExportSchedule:
    if row is None:
        raise NotFound
    if not may(caller, "export.make", row.connection.team):
        raise forbidden("export.make")
    with transaction.atomic():
        audit.record(caller, action, row)
        if on:
            if _has_enough(row.connection_id):
                raise Conflict(
                    f"A machine has at most {MOST_PER_MACHINE} schedules; stop one first."
                )
            row.created_by, row.skipped_because = caller.user, ""
            row.next_run_at = cron.next_after(_fields_of(row), timezone.now()) or row.next_run_at
            row.save(update_fields=["next_run_at", "created_by", "skipped_because"])
            row.take_from_trash()
        else:
            row.move_to_trash()
        PeriodicTask.objects.filter(pk=row.periodic_task_id).update(enabled=on)
    return row


def _periodic_task(row: ExportSchedule, fields: dict[str, str]) -> PeriodicTask:
    times, _ = CrontabSchedule.objects.get_or_create(**fields, timezone="UTC")
    return PeriodicTask.objects.create(
        name=f"export {row.pk}",
        task=TASK,
        crontab=times,
        kwargs=f'{{"schedule_id": "{row.pk}"}}',
        description=f"{Kind(row.kind).label} export, {row.format}",
    )


def _fields_of(row: ExportSchedule) -> dict[str, Any]:
    times = row.periodic_task.crontab
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    return {name: getattr(times, name) for name in names}
