"""The page of the exports without a browser: what it shows to whom, and in how many queries."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from exports.models import Export, ExportSchedule, State
from tests import factories
from tests.exports.conftest import Lab
from tests.exports.files import make_export, make_schedule

PAGE = "/exports/"


def pages(lab: Lab, role: str) -> Client:
    client = Client()
    client.force_login(lab.people[role])
    return client


def text(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_shows_files_with_both_sides_and_the_reason(lab: Lab) -> None:
    make_export(lab.machine, remote_ok=False, remote_error="The disk of the machine is full.")
    shown = text(pages(lab, "viewer"))
    assert "Local" in shown
    assert "DGX: The disk of the machine is full." in shown
    assert "/download" in shown
    assert "Repeat" not in shown


def test_a_stranger_sees_nothing_of_it(lab: Lab) -> None:
    make_export(lab.machine)
    assert "No exports yet" in text(pages(lab, "stranger"))


def test_one_in_progress_survives_a_reload_and_can_be_cancelled(lab: Lab) -> None:
    export = make_export(lab.machine, state=State.RUNNING, local_ok=None, bytes_total=100)
    client = pages(lab, "operator")
    for _ in range(2):
        shown = text(client)
        assert "<progress" in shown
        assert 'hx-trigger="every 2s"' in shown
    client.post(reverse("export_cancel", args=[export.pk]))
    export.refresh_from_db()
    assert export.cancel_requested
    assert "stopping" in text(client)


def test_deleting_offers_the_way_back(lab: Lab) -> None:
    export = make_export(lab.machine)
    client = pages(lab, "operator")
    answer = client.post(reverse("export_delete", args=[export.pk]), follow=True)
    assert "was moved to the trash" in answer.content.decode()
    assert str(export) in text(client, f"{PAGE}?show=trash")
    client.post(reverse("export_restore", args=[export.pk]))
    assert str(export) in text(client)


def test_repeating_puts_the_same_into_the_queue(lab: Lab) -> None:
    export = make_export(lab.machine, format="csv")
    pages(lab, "operator").post(reverse("export_repeat", args=[export.pk]))
    again = Export.objects.get(state=State.WAITING)
    assert (again.kind, again.format) == ("dual", "csv")


def test_a_schedule_is_set_stopped_and_brought_back(lab: Lab) -> None:
    client = pages(lab, "operator")
    form: dict[str, Any] = {
        "machine": lab.machine.pk,
        "what": "7d",
        "file_format": "parquet",
        "when": "cron",
        "cron": "5 4 * * sun",
        "keep_count": 3,
        "keep_days": 30,
    }
    wrong = client.post(reverse("export_schedules"), form | {"cron": "never"})
    assert wrong.status_code == 422
    assert "five fields" in wrong.content.decode()
    client.post(reverse("export_schedules"), form)
    row = ExportSchedule.objects.get()
    assert (row.range, row.format, row.cron) == ("7d", "parquet", "5 4 * * sun")
    answer = client.post(reverse("export_schedule_delete", args=[row.pk]), follow=True)
    assert "The schedule is stopped" in answer.content.decode()
    client.post(reverse("export_schedule_restore", args=[row.pk]))
    assert "5 4 * * sun" in text(client, f"{PAGE}?show=schedules")


@pytest.mark.parametrize("show", ["files", "schedules", "trash"])
def test_as_many_queries_for_twenty_as_for_one(
    lab: Lab, show: str, django_assert_max_num_queries: Any
) -> None:
    client = pages(lab, "operator")

    def add(count: int) -> None:
        for _ in range(count):
            machine = factories.make_connection(lab.team)
            make_export(machine, requested_by=lab.people["operator"])
            make_export(machine, deleted_at=lab.machine.created_at)
            make_schedule(machine)

    add(1)
    text(client, f"{PAGE}?show={show}")
    with django_assert_max_num_queries(100) as first:
        text(client, f"{PAGE}?show={show}")
    add(20)
    with django_assert_max_num_queries(len(first.captured_queries)):
        text(client, f"{PAGE}?show={show}")


def test_a_machines_name_is_text(lab: Lab) -> None:
    lab.machine.name = "<img src=x onerror=alert(1)>"
    lab.machine.save()
    make_export(lab.machine)
    assert "<img" not in text(pages(lab, "viewer"))
