"""When a waiting job will probably start."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.models import Status
from jobs.queue import grant as queue_grant
from jobs.queue.devices import Device
from jobs.queue.estimate import Waiting, estimate
from jobs.queue.policy import Asked, Gpus
from tests.jobs.rows import make_job, make_project

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def later(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def waiting(gpus: Gpus, minutes: int | None = 10, **fields: object) -> Waiting:
    limit = timedelta(minutes=minutes) if minutes else None
    return Waiting(Asked(uuid.uuid4(), gpus, **fields), limit)  # type: ignore[arg-type]


def starts(free_at: dict[str, datetime | None], *jobs: Waiting) -> list[datetime | None]:
    found = estimate(jobs, free_at, NOW)
    return [found.get(job.asked.job_id) for job in jobs]


def test_one_after_the_other() -> None:
    free: dict[str, datetime | None] = {"0": later(5), "1": later(20)}
    assert starts(free, waiting(1), waiting(1), waiting(2)) == [later(5), later(15), later(25)]


def test_what_nobody_knows_is_not_said() -> None:
    assert starts({"0": None}, waiting(1)) == [None]
    assert starts({"0": later(5)}, waiting(1, None), waiting(1)) == [later(5), None]
    assert starts({"0": later(5)}, waiting(2), waiting(0)) == [None, NOW]
    assert starts({"0": later(5)}, waiting(("7",))) == [None]
    assert starts({}, waiting(0, blocked="It comes after x.")) == [None]


def test_named_devices_and_scheduled_starts() -> None:
    free: dict[str, datetime | None] = {"0": NOW, "1": later(30)}
    jobs = waiting(("1",)), waiting(1, not_before=later(3))
    assert starts(free, *jobs) == [later(30), later(3)]


@pytest.mark.django_db
def test_is_written_to_the_rows() -> None:
    project = make_project()
    running = make_job(project, max_minutes=10, gpus=1)
    running.move(Status.STARTING, "test", granted=["0"])
    running.move(Status.RUNNING, "test", started_at=timezone.now() - timedelta(minutes=4))
    job = make_job(project, gpus=1)
    device = Device("0", "GPU 0", "GPU 0 is used")
    queue_grant.grant(project.connection_id, 0, lambda rules: [device])
    job.refresh_from_db()
    assert job.estimated_start_at is not None
    left = job.estimated_start_at - timezone.now()
    assert timedelta(minutes=5, seconds=50) < left <= timedelta(minutes=6)
    assert queue_grant.grant(project.connection_id, 0, lambda rules: [device]) == []
