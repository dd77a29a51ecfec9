"""What people are told of jobs: which steps, once, and the end of the log with it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Role
from connections.keeper.keeper import Keeper
from jobs import lifecycle as jobs_lifecycle
from jobs import watchdog
from jobs.log import store as log_store
from jobs.models import Job, JobChange, Reason, Status
from jobs.remote.verdict import Verdict
from notifications.models import Event
from tests.factories import join, make_connection, make_team, make_user
from tests.jobs.conftest import ended
from tests.jobs.rows import make_job, make_project
from tests.metrics.stored import ends, machine_of, steady, store

CRASHED = Verdict(Status.FAILED, Reason.EXIT_CODE, "It ended with exit code 1.", exit_code=1)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def running(started: datetime = NOW, **fields: object) -> Job:
    job = make_job(fields.pop("project", None), **fields)  # type: ignore[arg-type]
    job.move(Status.STARTING, "test", granted=["0"])
    job.move(Status.RUNNING, "test", started_at=started)
    return job


def told(job: Job) -> list[str]:
    return list(Event.objects.filter(object_id=str(job.pk)).values_list("kind", flat=True))


@pytest.mark.django_db
def test_each_step_that_matters_is_told_once() -> None:
    job = running()
    assert told(job) == ["job_started"]
    job.move(Status.UNKNOWN, "test")
    job.move(Status.RUNNING, "test")
    job.move(Status.COMPLETED, "test")
    assert sorted(told(job)) == ["job_finished", "job_started"]
    JobChange.objects.get(to_status=Status.COMPLETED).save()
    assert len(told(job)) == 2


@pytest.mark.django_db
def test_a_start_is_in_nobodys_list_unless_wished() -> None:
    team = make_team()
    join(make_user(), team, Role.VIEWER)
    job = running(project=make_project(make_connection(team)))
    job.move(Status.COMPLETED, "test")
    by_kind = {event.kind: event.notifications.count() for event in Event.objects.all()}
    assert by_kind == {"job_started": 0, "job_finished": 1}


@pytest.mark.django_db
def test_a_failure_brings_the_end_of_the_log() -> None:
    job = running(name="train")
    text = b"".join(b"line %d\n" % n for n in range(100)) + b"\x1b[31mValueError: no\x1b[0m\n\n"
    log_store.append(job, text, NOW)
    job.move(Status.FAILED, "test", reason=Reason.EXIT_CODE, detail="It ended with exit code 1.")
    event = Event.objects.get(kind="job_failed")
    assert event.title == "train failed"
    first, *last = event.body.split("\n")
    assert first.endswith("It ended with exit code 1.")
    assert last == [*(f"line {n}" for n in range(93, 100)), "ValueError: no"]
    assert event.link == f"/jobs/{job.pk}/"


@pytest.mark.django_db
def test_the_time_limit_is_told_as_such_and_a_stop_to_nobody() -> None:
    late, stopped, lost = running(), running(), running()
    late.move(Status.FAILED, "test", reason=Reason.TIME_LIMIT)
    stopped.move(Status.STOPPING, "test")
    stopped.move(Status.STOPPED, "test")
    lost.move(Status.LOST, "test", reason=Reason.HOST_REBOOTED)
    assert sorted(told(late)) == ["job_started", "job_too_long"]
    assert told(stopped) == ["job_started"]
    assert "job_failed" in told(lost)


@pytest.mark.django_db
def test_of_several_tries_only_the_last_failure_is_told() -> None:
    first = running(max_retries=1)
    second = jobs_lifecycle.finish(first, CRASHED, timezone.now())
    assert second is not None
    assert told(first) == ["job_started"]
    second.move(Status.STARTING, "test")
    second.move(Status.RUNNING, "test")
    assert jobs_lifecycle.finish(second, CRASHED, timezone.now()) is None
    assert "job_failed" in told(second)
    assert "try 2 of 2" in Event.objects.get(kind="job_failed").body


@pytest.mark.django_db
def test_programs_are_told_how_it_ended_but_not_what_ran() -> None:
    job = running(max_retries=0, command="python train.py --key hunter2")
    jobs_lifecycle.finish(job, CRASHED, timezone.now())
    said = Event.objects.get(kind="job_failed").data["job"]
    assert (said["id"], said["status"], said["exit_code"]) == (str(job.pk), "failed", 1)
    assert (said["reason"], said["granted_gpus"]) == ("exit_code", ["0"])
    assert said["completed_at"] is not None
    assert "hunter2" not in str(said)


@pytest.mark.django_db
def test_who_stops_a_job_that_fails_meanwhile_gets_no_other_try() -> None:
    job = running(max_retries=1)
    Job.objects.get(pk=job.pk).request_stop()
    assert jobs_lifecycle.finish(job, CRASHED, timezone.now()) is None
    assert "job_failed" in told(job)


@pytest.mark.django_db
def test_what_is_not_committed_is_not_told() -> None:
    job = running()
    with pytest.raises(ZeroDivisionError):
        _fail_and_break(job)
    assert told(job) == ["job_started"]


def _fail_and_break(job: Job) -> None:
    with transaction.atomic():
        job.move(Status.FAILED, "test")
        raise ZeroDivisionError


@pytest.mark.django_db
def test_a_job_that_fell_silent_is_told_for_each_silence() -> None:
    job = running(NOW)
    assert watchdog.look(NOW + timedelta(hours=2)) == 0  # it never printed
    log_store.append(job, b"hello\n", NOW)
    assert watchdog.look(NOW + timedelta(minutes=59)) == 0
    assert watchdog.look(NOW + timedelta(minutes=61)) == 1
    assert watchdog.look(NOW + timedelta(minutes=62)) == 0
    log_store.append(job, b"again\n", NOW + timedelta(minutes=70))
    assert watchdog.look(NOW + timedelta(minutes=131)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("percent", "count", "expected"), [(2.0, 90, 1), (8.0, 90, 0), (2.0, 45, 0)]
)
def test_a_job_whose_gpu_does_nothing_is_told(percent: float, count: int, expected: int) -> None:
    job = running(NOW)
    store(machine_of(job.connection), [steady(at, percent) for at in ends(NOW, count)])
    assert watchdog.look(NOW + timedelta(minutes=29)) == 0
    assert watchdog.look(NOW + timedelta(minutes=30)) == expected


@pytest.mark.django_db
def test_a_job_that_takes_twice_as_long_as_ever_is_told() -> None:
    project = make_project()
    for minutes in (10, 12, 11):
        done = running(NOW, project=project, name="train")
        done.move(Status.COMPLETED, "test")
        Job.objects.filter(pk=done.pk).update(completed_at=NOW + timedelta(minutes=minutes))
    job = running(NOW, project=project, name="train")
    assert watchdog.look(NOW + timedelta(minutes=23)) == 0
    assert watchdog.look(NOW + timedelta(minutes=25)) == 1
    event = Event.objects.get(kind="job_too_long")
    assert (event.title, event.object_id) == ("train takes long", str(job.pk))


@pytest.mark.django_db(transaction=True)
def test_a_secret_is_starred_out_of_what_is_told(
    submit: Callable[..., Job], start_keeper: Callable[[], Keeper]
) -> None:
    job = submit("echo token hf_abcdef; exit 1", environment={"HF_TOKEN": "hf_abcdef"})
    start_keeper()
    ended(job)
    body = Event.objects.get(kind="job_failed").body
    assert "token *********" in body
    assert "hf_abcdef" not in body
