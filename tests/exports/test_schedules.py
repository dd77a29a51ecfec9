"""Exports at set times: each turn once, whoever looks; kept so many and so long."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from dgxsite.up import programs
from exports import queue, retention, schedules, storage, tasks
from exports.models import Export, ExportSchedule, State
from notifications.models import Event
from tests.exports.conftest import Lab


def made(lab: Lab, **fields: Any) -> ExportSchedule:
    body = {
        "connection_id": str(lab.machine.pk),
        "kind": "range",
        "range": "24h",
        "format": "csv",
        "cron": "daily",
    } | fields
    answer = lab.api().post("/export-schedules", body)
    assert answer.status_code == 201, answer.content
    row: ExportSchedule = ExportSchedule.objects.get(pk=answer.json()["id"])
    return row


def due(row: ExportSchedule, ago: timedelta = timedelta(seconds=5)) -> None:
    ExportSchedule.objects.filter(pk=row.pk).update(next_run_at=timezone.now() - ago)


def test_a_schedule_stands_in_the_tables_of_celery_beat(lab: Lab) -> None:
    row = made(lab)
    task = PeriodicTask.objects.get()
    assert (task.task, task.enabled, task.crontab.hour) == (tasks.run_schedule.name, True, "2")
    told = lab.api("viewer").get("/export-schedules").json()["items"]
    assert [(one["cron"], one["range"]) for one in told] == [("17 2 * * *", "24h")]
    assert row.next_run_at > timezone.now()


def test_makes_its_file_when_it_is_due(lab: Lab) -> None:
    row = made(lab)
    assert queue.run() == 0
    due(row)
    assert queue.run() == 1
    export = Export.objects.get()
    assert (export.state, export.kind, export.schedule_id) == (State.DONE, "range", row.pk)
    assert export.path.read_text().startswith("timestamp,cpu_percent")
    assert export.remote_ok is None
    assert queue.run() == 0


def test_missed_turns_are_made_up_for_by_one(lab: Lab) -> None:
    due(made(lab, cron="* * * * *"), timedelta(days=3))
    assert queue.run() == 1
    assert queue.run() == 0


def test_clocks_that_tick_at_once_export_once(lab: Lab) -> None:
    row = made(lab)
    due(row)
    gate = threading.Barrier(6)

    def tick() -> None:
        gate.wait()
        try:
            schedules.queue_due(timezone.now())
            schedules.run_one(row.pk, timezone.now())
        finally:
            connection.close()

    threads = [threading.Thread(target=tick) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Export.objects.count() == 1


def test_workers_that_look_at_once_make_a_file_once(lab: Lab) -> None:
    due(made(lab))
    schedules.queue_due(timezone.now())
    counted: list[int] = []

    def work() -> None:
        try:
            counted.append(queue.run())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(queue.HANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counted) == 1


def test_a_failure_is_told(lab: Lab) -> None:
    due(made(lab, kind="dual", range=None, format="json"))
    queue.run()
    event = Event.objects.get(kind="export_failed")
    assert "not reached" in event.body
    assert event.object_id == str(lab.machine.pk)


def test_a_deleted_one_rests_and_comes_back(lab: Lab) -> None:
    row = made(lab)
    due(row)
    assert lab.api().delete(f"/export-schedules/{row.pk}").status_code == 204
    assert not PeriodicTask.objects.get().enabled
    assert queue.run() == 0
    assert lab.api().get("/export-schedules").json()["count"] == 0
    assert lab.api().post(f"/export-schedules/{row.pk}/restore").status_code == 200
    row.refresh_from_db()
    assert row.next_run_at > timezone.now()
    assert PeriodicTask.objects.get().enabled


def test_a_machine_in_the_trash_is_left_alone(lab: Lab) -> None:
    due(made(lab))
    lab.machine.deleted_at = timezone.now()
    lab.machine.save()
    assert queue.run() == 0


def test_keeps_so_many_files(lab: Lab) -> None:
    row = made(lab, keep_count=2)
    for _ in range(3):
        due(row)
        queue.run()
    paths = [export.path for export in Export.objects.order_by("-created_at")]
    retention.tidy(timezone.now())
    assert [path.exists() for path in paths] == [True, True, False]
    expired = Export.objects.exclude(expired_at=None).get()
    assert lab.api().get(f"/exports/{expired.pk}/download").status_code == 404


def test_keeps_them_so_long(lab: Lab) -> None:
    row = made(lab, keep_days=7)
    due(row)
    queue.run()
    retention.tidy(timezone.now() + timedelta(days=6))
    assert Export.objects.get().is_downloadable
    retention.tidy(timezone.now() + timedelta(days=8))
    assert not Export.objects.get().path.exists()


def test_the_trash_is_emptied_and_strays_are_removed(lab: Lab) -> None:
    row = made(lab)
    due(row)
    queue.run()
    export = Export.objects.get()
    assert lab.api().delete(f"/exports/{export.pk}").status_code == 204
    stray = storage.folder("ranges") / ".0123.part"
    stray.write_text("the rest of a process that was killed")
    retention.tidy(timezone.now() + timedelta(hours=1))
    assert export.path.exists()
    assert stray.exists()
    retention.tidy(timezone.now() + timedelta(days=31))
    assert not Export.objects.exists()
    assert list(storage.folder("ranges").iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "0 0 30 2 *"},
        {"kind": "range", "range": None},
        {"kind": "dual", "range": "24h"},
        {"keep_count": 0},
        {"format": "exe"},
    ],
)
def test_what_makes_no_sense_is_refused(lab: Lab, fields: dict[str, Any]) -> None:
    body = {
        "connection_id": str(lab.machine.pk),
        "kind": "range",
        "range": "24h",
        "format": "csv",
        "cron": "daily",
    } | fields
    assert lab.api().post("/export-schedules", body).status_code == 422
    assert not PeriodicTask.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("stranger", 404)])
def test_who_may_not(lab: Lab, role: str, status: int) -> None:
    row = made(lab)
    assert lab.api(role).delete(f"/export-schedules/{row.pk}").status_code == status


def test_the_clock_has_no_business_with_the_database() -> None:
    """It ticks every two seconds; a database that hangs must not stop it."""
    assert "celery.beat:Scheduler" in programs.beat().argv
