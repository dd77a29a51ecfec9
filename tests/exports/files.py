"""Exports and schedules as rows, with their file on the disk."""

from typing import Any

from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from connections.models import Connection
from exports.models import Export, ExportSchedule, State


def make_export(machine: Connection, **fields: Any) -> Export:
    """A dual export that reached both sides."""
    now = timezone.now()
    values: dict[str, Any] = {
        "kind": "dual",
        "format": "json",
        "state": State.DONE,
        "filename": f"dgx-metrics-{machine.pk}-{now:%Y-%m-%dT%H-%M-%S-%f}Z.json",
        "size_bytes": 3,
        "rows": 0,
        "local_ok": True,
        "remote_ok": True,
        "remote_path": "/home/ml/projects/exports/file.json",
        "started_at": now,
        "finished_at": now,
    }
    row: Export = Export.objects.create(connection=machine, **(values | fields))
    if row.local_ok:
        row.path.parent.mkdir(parents=True, exist_ok=True)
        row.path.write_text("{}\n")
    return row


def make_schedule(machine: Connection, **fields: Any) -> ExportSchedule:
    """Every night at two, in JSON, to both sides."""
    times, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="2", timezone="UTC")
    number = PeriodicTask.objects.count()
    task = PeriodicTask.objects.create(name=f"export {number}", crontab=times, task="test")
    values: dict[str, Any] = {"kind": "dual", "format": "json", "next_run_at": timezone.now()}
    row: ExportSchedule = ExportSchedule.objects.create(
        connection=machine, periodic_task=task, **(values | fields)
    )
    return row
