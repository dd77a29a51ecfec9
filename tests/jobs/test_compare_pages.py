"""Runs beside each other by page, API and file: one table, whole or not at all."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Role
from jobs.log import store as log_store
from jobs.models import MASK, Job, JobMeasure, JobOrigin, Status
from projects.models import Project
from tests import factories
from tests.jobs.rows import make_job
from tests.markup import flat
from tests.pages.people import People, client_of, make_people

STARTED = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def people(db: None, redis_client: object) -> People:
    return make_people()


@pytest.fixture
def project(people: People) -> Project:
    machine = factories.make_connection(people.team, name="Spark 1")
    return factories.make_project(machine, name="mnist", resolved_path="/srv/mnist")


def ran(project: Project, losses: list[float], **fields: Any) -> Job:
    """A run of ten minutes that printed a loss each minute."""
    joules = fields.pop("joules", None)
    job = make_job(project, **fields)
    job.move(Status.STARTING, "test")
    job.move(Status.RUNNING, "test", started_at=STARTED, granted=["0"])
    for number, loss in enumerate(losses):
        line = f"step={number * 100} loss={loss}\n".encode()
        log_store.append(job, line, STARTED + timedelta(minutes=number))
    job.move(Status.COMPLETED, "test", exit_code=0, log_complete=True)
    Job.objects.filter(pk=job.pk).update(completed_at=STARTED + timedelta(minutes=10))
    if joules is not None:
        measured = {"joules": joules, "power_seconds": 600.0, "busy": 30_000.0}
        JobMeasure.objects.create(job=job, percent_seconds=600.0, is_closed=True, **measured)
    return job


@pytest.fixture
def pair(project: Project) -> tuple[Job, Job]:
    """Two runs that differ in a rate, a variable and what came of it."""
    return (
        ran(
            project,
            [2.0, 1.0, 0.5],
            name="slow",
            config={"lr": 0.1, "seed": 7},
            environment={"EPOCHS": "3", "HF_TOKEN": "hunter22"},
            joules=36_000.0,
        ),
        ran(
            project,
            [2.5, 0.25],
            name="quick",
            config={"lr": 0.2, "seed": 7},
            environment={"EPOCHS": "4", "HF_TOKEN": "hunter23"},
            joules=54_000.0,
        ),
    )


def address(path: str, *jobs: Job | str, **more: str) -> str:
    ids = [("job", str(getattr(job, "pk", job))) for job in jobs]
    return f"{path}?{urlencode([*ids, *more.items()])}"


def asked(client: Client, *jobs: Job | str, **more: str) -> Any:
    answer = client.get(address("/api/v1/jobs/compare", *jobs, **more))
    assert answer.status_code == 200, answer.content
    return answer.json()


def rows(body: Any) -> dict[str, Any]:
    return {row["key"]: row for group in body["groups"] for row in group["rows"]}


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_settings_values_and_energy_stand_beside_each_other(
    people: People, pair: tuple[Job, Job]
) -> None:
    body = asked(people.guest, *pair)
    assert [one["name"] for one in body["jobs"]] == ["slow", "quick"]
    assert all(one["scalars_complete"] for one in body["jobs"])
    found = rows(body)
    assert found["config.lr"]["values"] == [0.1, 0.2]
    assert found["environment.EPOCHS"]["values"] == ["3", "4"]
    assert found["loss.last"]["values"] == [0.5, 0.25]
    assert found["loss.last"]["best"] == [1]
    assert found["loss.max"]["values"] == [2.0, 2.5]
    assert found["energy_wh"]["values"] == [10.0, 15.0]
    assert found["energy_wh"]["differences"] == [None, 50.0]
    assert found["mean_gpu_percent"]["values"] == [50.0, 50.0]
    assert found["duration_seconds"]["values"] == [600.0, 600.0]
    assert found["machine"]["values"] == ["Spark 1", "Spark 1"]


def test_what_runs_began_from_is_compared(people: People, pair: tuple[Job, Job]) -> None:
    for job, commit, version in zip(pair, "ab", ("2.8.0", "2.9.1"), strict=True):
        git = {"commit": commit * 40, "changed_files": 0}
        python = {"version": "3.12.4", "packages": ["numpy==2.3.1", f"torch=={version}"]}
        JobOrigin.objects.create(job=job, data={"git": git, "python": python})
    found = rows(asked(people.guest, *pair))
    assert found["git_commit"]["values"] == ["a" * 40, "b" * 40]
    assert found["git_changed"]["values"] == [0, 0]
    assert found["package.torch"]["values"] == ["2.8.0", "2.9.1"]
    assert not {"package.numpy", "python"} & found.keys()


def test_equal_settings_come_when_asked_for(people: People, pair: tuple[Job, Job]) -> None:
    told, every = asked(people.guest, *pair), asked(people.guest, *pair, all="true")
    assert not {"config.seed", "command"} & rows(told).keys()
    assert rows(every)["config.seed"]["values"] == [7, 7]
    hidden = {group["key"]: group["hidden"] for group in told["groups"]}
    assert hidden["settings"] == len(rows(every)) - len(rows(told))
    assert "config.seed" not in text(people.guest.get(address("/jobs/compare", *pair)))
    assert "config.seed" in text(people.guest.get(address("/jobs/compare", *pair, show="all")))


def test_secret_values_are_nowhere_and_do_not_differ(people: People, pair: tuple[Job, Job]) -> None:
    every = asked(people.boss, *pair, all="true")
    assert rows(every)["environment.HF_TOKEN"]["values"] == [MASK, MASK]
    assert "environment.HF_TOKEN" not in rows(asked(people.boss, *pair))
    for path in ("/jobs/compare", "/jobs/compare/csv", "/api/v1/jobs/compare"):
        shown = text(people.boss.get(address(path, *pair, show="all", all="true")))
        assert "hunter2" not in shown


def test_secrets_of_command_and_configuration_are_starred_out(
    people: People, project: Project
) -> None:
    job = ran(
        project,
        [1.0],
        command="python train.py --token hunter22",
        config={"api_key": "hunter33", "login": ["a:hunter22"]},
        environment={"HF_TOKEN": "hunter22"},
    )
    every = rows(asked(people.boss, job, all="true"))
    assert every["command"]["values"] == ["python train.py --token ********"]
    assert every["config.api_key"]["values"] == ['"********"']
    assert every["config.login"]["values"] == ['["a:********"]']


def test_curves_begin_with_their_runs(people: People, pair: tuple[Job, Job]) -> None:
    other = ran(pair[0].project, [], name="mute")
    by_step = asked(people.guest, *pair, other, value="loss")["curves"]
    assert by_step[0] == {"x": [0, 100, 200], "y": [2.0, 1.0, 0.5]}
    assert by_step[1] == {"x": [0, 100], "y": [2.5, 0.25]}
    assert by_step[2] is None
    by_time = asked(people.guest, *pair, value="loss", by="seconds")["curves"]
    assert by_time[0]["x"] == [0, 60, 120]
    assert asked(people.guest, *pair)["curves"] == []


def test_a_step_that_comes_again_counts_once_and_points_ascend(
    people: People, project: Project
) -> None:
    job = ran(project, [])
    lines = b"step=5 acc=1\nstep=2 acc=2\nstep=5 acc=3\nstep=9 acc=nan\n"
    log_store.append(job, lines, STARTED)
    found = asked(people.guest, job, value="acc")
    assert found["curves"] == [{"x": [2, 5, 9], "y": [2.0, 3.0, None]}]
    assert rows(found)["acc.last"]["values"] == [None]
    assert rows(found)["acc.max"]["values"] == [3.0]


def test_a_run_that_goes_back_to_a_checkpoint_replaces_what_came_after(
    people: People, project: Project
) -> None:
    job = ran(project, [])
    steps = [0, 100, 200, 50, 150]
    log_store.append(job, "".join(f"step={step} loss={step}\n" for step in steps).encode(), STARTED)
    assert asked(people.guest, job, value="loss")["curves"][0]["x"] == [0, 50, 150]


def test_what_may_not_be_seen_makes_the_whole_absent(people: People, pair: tuple[Job, Job]) -> None:
    foreign = make_job()
    gone = make_job(pair[0].project, deleted_at=timezone.now())
    for path in ("/jobs/compare", "/jobs/compare/csv", "/api/v1/jobs/compare"):
        for other in (foreign, gone):
            assert people.boss.get(address(path, pair[0], other)).status_code == 404
        assert people.stranger.get(address(path, *pair)).status_code == 404
    for path in ("/jobs/compare", "/jobs/compare/csv"):
        assert people.boss.get(address(path, pair[0], "nonsense")).status_code == 404


def test_the_api_names_what_is_wrong(people: People, project: Project) -> None:
    many = [make_job(project) for _ in range(9)]
    for jobs in ([], many, ["nonsense"]):
        answer = people.boss.get(address("/api/v1/jobs/compare", *jobs))
        assert answer.status_code == 422, jobs
        assert "job" in answer.json()["errors"][0]["field"].split(".")
    assert people.boss.get(address("/api/v1/jobs/compare", many[0], by="x")).status_code == 422


def test_runs_stand_once_and_in_the_order_asked_for(people: People, pair: tuple[Job, Job]) -> None:
    first, second = pair
    body = asked(people.guest, second, first, second)
    assert [one["name"] for one in body["jobs"]] == ["quick", "slow"]


def test_a_page_without_two_runs_says_what_to_do(people: People, project: Project) -> None:
    assert "Tick two to 8 jobs" in flat(text(people.guest.get("/jobs/compare")))
    one = flat(text(people.guest.get(address("/jobs/compare", make_job(project, name="alone")))))
    assert "One run alone" in one
    assert "alone" in one
    many = [make_job(project, name=f"many-{number}") for number in range(10)]
    page = flat(text(people.guest.get(address("/jobs/compare", *many))))
    assert "Only the first 8 runs are shown; 2 more were chosen." in page
    assert "many-7" in page
    assert "many-8" not in page


def test_the_file_has_the_table_and_runs_nothing(people: People, pair: tuple[Job, Job]) -> None:
    Job.objects.filter(pk=pair[1].pk).update(name="=cmd|' /C calc'!A0")
    answer = people.guest.get(address("/jobs/compare/csv", *pair))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(io.StringIO(text(answer))))
    by_key = {row["row"]: row for row in found}
    assert (by_key["name"]["run 1"], by_key["name"]["run 2"]) == ("slow", "'=cmd|' /C calc'!A0")
    assert (by_key["energy_wh"]["run 1"], by_key["energy_wh"]["run 2"]) == ("10.0", "15.0")
    assert by_key["config.lr"]["unit"] == "code"
    keys = {row["key"] for row in rows(asked(people.guest, *pair)).values()}
    assert keys == by_key.keys() - {"name", "id"}


def test_the_chart_begins_with_a_loss_that_all_have(people: People, project: Project) -> None:
    jobs = [ran(project, [1.0]), ran(project, [2.0])]
    for job in jobs:
        log_store.append(job, b"step=1 acc=0.5\n", STARTED)
    log_store.append(jobs[0], b"step=1 best_loss=1\n", STARTED)
    page = people.guest.get(address("/jobs/compare", *jobs))
    assert page.context["value"] == "loss"
    assert page.context["names"] == ["best_loss", "loss", "acc"]
    page = people.guest.get(address("/jobs/compare", *jobs, value="acc", by="seconds"))
    assert [one["series"]["printed"] for one in page.context["curves"]] == [[0.5], [0.5]]
    unknown = people.guest.get(address("/jobs/compare", *jobs, value="<b>"))
    assert unknown.context["value"] == "loss"


def test_a_jobs_page_leads_to_the_run_before(people: People, project: Project) -> None:
    first = ran(project, [], name="train")
    other = ran(project, [], name="eval")
    second = ran(project, [], name="train")
    link = f'href="/jobs/compare?job={first.pk}&amp;job={second.pk}"'
    assert link in text(people.guest.get(f"/jobs/{second.pk}/"))
    for job in (first, other):
        assert "/jobs/compare?" not in text(people.guest.get(f"/jobs/{job.pk}/"))
    third = ran(project, [], name="renamed", retry_of=other)
    page = text(people.guest.get(f"/jobs/{third.pk}/"))
    assert f"/jobs/compare?job={other.pk}&amp;job={third.pk}" in page
    assert "Compare with the try before" in page


def test_the_list_offers_its_jobs(people: People, project: Project) -> None:
    jobs = [make_job(project) for _ in range(2)]
    user = factories.make_user("operator")
    factories.join(user, people.team, Role.OPERATOR)
    for client in (people.guest, client_of(user)):
        page = text(client.get("/jobs/"))
        assert '<form id="compare" method="get" action="/jobs/compare" hidden>' in page
        for job in jobs:
            assert f'name="job" value="{job.pk}" form="compare"' in flat(page)


def test_hostile_names_are_text(people: People, project: Project) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    job = ran(project, [1.0], name=evil, config={evil: evil}, command=evil)
    log_store.append(job, json.dumps({evil: 1, "step": 1}).encode() + b"\n", STARTED)
    page = text(people.guest.get(address("/jobs/compare", job, ran(project, [2.0]))))
    assert "<img src=x" not in page
    assert "img src=x" in page
