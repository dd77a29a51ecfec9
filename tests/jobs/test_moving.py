"""A step of a job: what the object says is what the row, the answer, the API and the push say."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import Role
from accounts.policy import Caller
from core import topics
from core.errors import Conflict
from jobs import lifecycle as jobs_lifecycle
from jobs import services
from jobs.models import FINAL, Job, JobScalars, Reason, Status
from jobs.models.states import STEPS
from jobs.remote.verdict import Verdict
from jobs.results import ingest as results_ingest
from jobs.serializers import as_dict, as_event
from tests.factories import join, make_connection, make_team, make_user
from tests.jobs.rows import make_job, make_project
from tests.jobs.test_states import put

pytestmark = pytest.mark.django_db

_STEPS = [(before, to) for before in Status for to in sorted(STEPS[before])]
_OLD = {"reason": Reason.UNREACHABLE, "detail": "old", "waiting_reason": "It waits for a GPU."}


@pytest.mark.parametrize(("before", "to"), _STEPS)
def test_after_every_step_the_object_says_what_the_row_says(before: Status, to: Status) -> None:
    job = make_job()
    put(job, before)
    Job.objects.filter(pk=job.pk).update(**_OLD, estimated_start_at=job.created_at)
    job.refresh_from_db()
    assert job.move(Status(to), "test")
    row = Job.objects.get(pk=job.pk)
    for field in Job._meta.concrete_fields:
        assert getattr(job, field.attname) == getattr(row, field.attname), field.name
    assert (row.reason, row.detail) == ("", "")
    assert bool(row.waiting_reason) == (to in (Status.PENDING, Status.QUEUED))
    assert (row.completed_at is not None) == (to in FINAL)


@pytest.fixture
def owner() -> Caller:
    return Caller(make_user(is_superuser=True))


@pytest.fixture
def pushes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What leaves for the sockets that look at a job."""
    found: list[dict[str, Any]] = []

    def note(team_id: object, items: list[topics.Item]) -> None:
        found.extend(orjson.loads(item.data)["job"] for item in items if item.event == "job")

    monkeypatch.setattr(topics, "publish", note)
    return found


def plain(value: object) -> Any:
    return json.loads(json.dumps(value))


def test_stopping_a_waiting_job_answers_and_pushes_its_end(
    owner: Caller,
    pushes: list[dict[str, Any]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    job = make_job(waiting_reason="GPU 0 is busy.")
    with django_capture_on_commit_callbacks(execute=True):
        answer = services.stop(owner, job.pk)
    row = services.find(owner, job.pk)
    assert plain(as_dict(answer)) == plain(as_dict(row))
    assert pushes == [plain(as_event(row))]
    assert (row.waiting_reason, row.reason) == ("", "stopped")
    assert pushes[0]["completed_at"] is not None


def test_deleting_and_restoring_are_pushed(
    owner: Caller,
    pushes: list[dict[str, Any]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    job = make_job()
    with django_capture_on_commit_callbacks(execute=True):
        services.delete(owner, job.pk)
    with django_capture_on_commit_callbacks(execute=True):
        services.restore(owner, job.pk)
    gone, back = pushes
    assert (gone["deleted"], gone["status"], gone["reason"]) == (True, "stopped", "stopped")
    assert "deleted" not in back
    assert back == plain(as_event(services.find(owner, job.pk)))


def test_who_is_too_late_changes_nothing_of_the_object() -> None:
    job = make_job()
    late = Job.objects.get(pk=job.pk)
    job.move(Status.STOPPED, "one")
    before = {field.attname: getattr(late, field.attname) for field in Job._meta.concrete_fields}
    assert not late.move(Status.STARTING, "two", granted=["0"])
    assert before == {f.attname: getattr(late, f.attname) for f in Job._meta.concrete_fields}


# --- How many one person may have waiting --------------------------------------------------------


@pytest.fixture
def crowd(settings: Settings) -> Callable[..., Client]:
    settings.JOBS_WAITING_PER_MACHINE, settings.JOBS_WAITING = 2, 3
    team = make_team()
    machines = [make_connection(team=team) for _ in range(2)]
    projects = [make_project(machine) for machine in machines]

    def ask(user: Any, where: int) -> Any:
        client = Client()
        client.force_login(user)
        body = {"project_id": str(projects[where].pk), "name": "j", "command": "true"}
        return client.post("/api/v1/jobs", body, content_type="application/json")

    ask.team = team  # type: ignore[attr-defined]
    return ask


def test_one_person_leaves_room_for_the_others(crowd: Any) -> None:
    greedy, other = make_user(), make_user()
    for user in (greedy, other):
        join(user, crowd.team, Role.OPERATOR)
    said = [crowd(greedy, where).status_code for where in (0, 0, 0, 1, 1)]
    assert said == [201, 201, 409, 201, 409]
    refused = crowd(greedy, 0).json()
    assert refused["code"] == "conflict"
    assert refused["detail"] == (
        "2 of your jobs wait for this machine already; a person has no more room."
    )
    assert crowd(other, 0).status_code == 201


def test_another_try_of_the_sites_own_is_never_lost(settings: Settings) -> None:
    settings.JOBS_WAITING_PER_MACHINE = settings.JOBS_WAITING = 1
    person, project = make_user(is_superuser=True), make_project()
    ran = make_job(project, requested_by=person, max_retries=1)
    ran.move(Status.STARTING, "test", granted=[])
    make_job(project, requested_by=person)
    with pytest.raises(Conflict), transaction.atomic():
        services._check_room(ran)
    verdict = Verdict(Status.FAILED, Reason.EXIT_CODE, "It ended.", 1)
    assert jobs_lifecycle.finish(ran, verdict, ran.created_at) is not None


def test_curves_are_read_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_ingest, "_MOST_JOBS", 2)
    project = make_project()
    jobs = [make_job(project, log_bytes=10) for _ in range(5)]
    for job in jobs:
        job.move(Status.STARTING, "test", granted=[])
    read: list[Any] = []
    monkeypatch.setattr(results_ingest, "catch_up", lambda job: read.append(job.pk))
    for _ in range(3):  # two at once: nobody twice before everybody once
        results_ingest.catch_up_all()
    assert set(read[:5]) == {job.pk for job in jobs}
    assert JobScalars.objects.filter(read_at=None).count() == 0
