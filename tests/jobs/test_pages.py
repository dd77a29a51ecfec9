"""The pages about jobs, without a browser: who sees what, and what a press or a form brings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, User
from jobs.log import store as log_store
from jobs.models import MASK, Job, Status
from jobs.results import ingest as results_ingest
from projects.models import Project
from tests import factories
from tests.jobs.rows import make_job
from tests.pages.people import People, client_of, make_people

HTMX = {"HX-Request": "true"}
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def people(db: None, redis_client: object) -> People:
    return make_people()


@pytest.fixture
def operator(people: People) -> Client:
    user = factories.make_user("operator")
    factories.join(user, people.team, Role.OPERATOR)
    return client_of(user)


@pytest.fixture
def project(people: People) -> Project:
    machine = factories.make_connection(people.team, name="Spark 1")
    return factories.make_project(machine, name="mnist", resolved_path="/srv/mnist")


def text(answer: Any) -> str:
    return str(answer.content.decode())


def ended(project: Project, status: str = Status.COMPLETED, **fields: Any) -> Job:
    """A job that has run; the database checks each step on the way."""
    job = make_job(project, **fields)
    job.move(Status.STARTING, "test")
    job.move(Status.RUNNING, "test", started_at=timezone.now() - timedelta(minutes=2))
    job.move(Status(status), "test")
    return job


def with_log(job: Job, data: bytes) -> Job:
    log_store.append(job, data, AT)
    return job


def names(answer: Any) -> set[str]:
    return {line.job.name for line in answer.context["lines"]}


def form(project: Project, **fields: Any) -> dict[str, Any]:
    values = {"project_id": str(project.pk), "name": "run", "kind": "command", "gpus": "0"}
    return values | {"command": "python train.py", "wait_for_gpu": "on"} | fields


def test_a_list_shows_states_and_why_a_job_waits(people: People, project: Project) -> None:
    make_job(project, name="waits", waiting_reason="GPU 1 is used by user ml: python, 41 GB")
    make_job(project, name="broken", model_name="llama")
    for page in ("/jobs/", f"/machines/{project.connection_id}/jobs"):
        shown = text(people.guest.get(page))
        assert "waits" in shown
        assert "GPU 1 is used by user ml: python, 41 GB" in shown
        assert "llama" in shown
    assert "waits" not in text(people.stranger.get("/jobs/"))
    assert people.stranger.get(f"/machines/{project.connection_id}/jobs").status_code == 404


def test_a_list_shows_how_far_each_is_and_what_it_printed_last(
    people: People, project: Project
) -> None:
    printed = b"lr=0.1 loss=0.5\n 63%|###   | 63/100 [00:10<00:06,  6.30it/s]\n"
    running = with_log(make_job(project), printed)
    running.move(Status.STARTING, "test")
    running.move(Status.RUNNING, "test", started_at=timezone.now())
    over, silent = with_log(ended(project), printed), ended(project)
    assert results_ingest.catch_up_all() == 2
    page = people.boss.get("/jobs/")
    shown = {line.job.pk: line.glance for line in page.context["lines"]}
    assert shown == {
        running.pk: "63\u00a0% · loss 0.5",
        over.pk: "loss 0.5",
        silent.pk: "",
    }
    assert "loss 0.5" in text(page)


def test_a_list_costs_the_same_however_long(
    people: People, project: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_job(project)
    people.boss.get("/jobs/")
    with django_assert_num_queries(15) as one:
        people.boss.get("/jobs/")
    for _ in range(55):
        make_job(project)
    with django_assert_num_queries(len(one)):
        page = text(people.boss.get("/jobs/"))
    assert "Page 1 of 2" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"done", "waits", "other"}),
        ("status=completed", {"done"}),
        ("status=waiting", {"waits", "other"}),
        ("q=OTHER", {"other"}),
        ("q=echo", {"other"}),
        ("person=ann", {"waits"}),
        ("project=PROJECT", {"done", "waits"}),
        ("machine=MACHINE&status=waiting", {"waits"}),
        ("status=nonsense&machine=nonsense&sort=nonsense&page=99", {"done", "waits", "other"}),
        ("q=%00nothing", set()),
    ],
)
def test_the_address_chooses(people: People, project: Project, query: str, shown: set[str]) -> None:
    ended(project, name="done")
    make_job(project, name="waits", requested_by=factories.make_user("ann"))
    elsewhere = factories.make_project(factories.make_connection(people.team, name="B"), name="p2")
    make_job(elsewhere, name="other", command="echo other")
    query = query.replace("PROJECT", str(project.pk)).replace("MACHINE", str(project.connection_id))
    page = people.guest.get(f"/jobs/?{query}")
    assert names(page) == shown
    assert ("No job fits" in text(page)) == (not shown)


@pytest.mark.parametrize("sort", ["made", "name", "status", "machine", "started"])
def test_the_list_is_sorted_both_ways(people: People, project: Project, sort: str) -> None:
    make_job(project, name="a")
    ended(project, name="b")
    orders = [
        [
            line.job.name
            for line in people.guest.get(f"/jobs/?sort={sort}&dir={way}").context["lines"]
        ]
        for way in ("asc", "desc")
    ]
    assert all(sorted(order) == ["a", "b"] for order in orders)
    assert (orders[0] == orders[1][::-1]) or sort in ("machine", "started")


def test_htmx_gets_the_list_alone(people: People, project: Project) -> None:
    make_job(project, name="waits")
    page = text(people.guest.get("/jobs/", headers=HTMX))
    assert "waits" in page
    assert "<html" not in page
    assert 'data-goes-on="yes"' in page


def test_an_empty_list_has_one_action(people: People, operator: Client) -> None:
    assert "To the projects" in text(operator.get("/jobs/"))
    factories.make_project(factories.make_connection(people.team))
    page = text(operator.get("/jobs/"))
    assert page.count('href="/jobs/add"') == 1
    assert "curl http://testserver/api/v1/jobs" in page
    assert "needs operator" in text(people.guest.get("/jobs/"))


def test_every_tab_of_every_state(people: People, project: Project) -> None:
    jobs = [make_job(project), make_job(project, status=Status.PENDING)]
    jobs += [ended(project, s) for s in (Status.COMPLETED, Status.FAILED, Status.LOST)]
    for job in jobs:
        for tab in ("", "?tab=log", "?tab=config", "?tab=metrics", "?tab=nonsense"):
            page = people.guest.get(f"/jobs/{job.pk}/{tab}", follow=True)
            assert page.status_code == 200, (job, tab)
            assert job.name in text(page)
    assert people.stranger.get(f"/jobs/{job.pk}/").status_code == 404


def test_metrics_open_over_the_jobs_span(people: People, project: Project) -> None:
    job = ended(project, granted=["3"])
    job.refresh_from_db()
    answer = people.guest.get(f"/jobs/{job.pk}/?tab=metrics")
    assert answer.status_code == 302
    assert f"start={job.started_at:%Y-%m-%dT%H:%M:%S}" in answer.headers["Location"]
    assert f"end={job.completed_at:%Y-%m-%dT%H:%M:%S}" in answer.headers["Location"]
    assert answer.headers["Location"].endswith("&gpu=3")


def test_metrics_of_a_running_job_go_on_and_end_with_it(people: People, project: Project) -> None:
    job = make_job(project)
    job.move(Status.STARTING, "keeper")
    job.move(Status.RUNNING, "keeper", started_at=timezone.now())
    path = f"/jobs/{job.pk}/?tab=metrics&curve=loss&curve=a,b&axis=step"
    address = people.guest.get(path).headers["Location"]
    assert "start=" in address
    assert "end=" not in address
    assert "curve=loss&curve=a%2Cb&axis=step" in address
    page = people.guest.get(f"/jobs/{job.pk}/{address}")
    assert page.context["drawn"] == ["loss", "a,b"]
    assert page.context["chosen_range"] == ""
    job.move(Status.COMPLETED, "keeper", completed_at=timezone.now(), exit_code=0)
    closed = people.guest.get(f"/jobs/{job.pk}/{address}").headers["Location"]
    assert closed.startswith(address)
    assert closed.count("start=") == closed.count("end=") == 1


def test_metrics_tell_what_was_used_and_printed(people: People, project: Project) -> None:
    job = with_log(ended(project), b"step=1 loss=0.5\nstep=2 loss=0.25\n")
    page = people.guest.get(f"/jobs/{job.pk}/?tab=metrics", follow=True)
    assert ("loss", 2, "0.25") in page.context["scalars"]
    assert dict(page.context["figures"])["Energy"] == "—"
    assert "0.25" in text(page)


def test_a_failed_job_quotes_its_error_and_leads_to_the_line(
    people: People, project: Project
) -> None:
    job = with_log(ended(project, Status.FAILED), b"epoch 1\nValueError: <bad> loss\n")
    page = text(people.guest.get(f"/jobs/{job.pk}/"))
    assert "ValueError: &lt;bad&gt; loss" in page
    assert 'href="?tab=log&amp;line=2#L2"' in page
    log = people.guest.get(f"/jobs/{job.pk}/?tab=log&line=2")
    assert "ValueError: &lt;bad&gt; loss" in text(log)


def test_lines_of_the_log_for_the_viewer(people: People, project: Project) -> None:
    job = with_log(make_job(project), b"".join(b"line %d\n" % n for n in range(1, 3001)))
    page = people.guest.get(f"/jobs/{job.pk}/?tab=log")
    assert page.context["log_text"].startswith("line 2001\n")
    assert page.context["log_text"].endswith("\nline 3000")
    for query, first, last in (
        ("before=2001", 1501, 2000),
        ("after=10", 11, 510),
        ("", 2001, 3000),
    ):
        part = people.guest.get(f"/jobs/{job.pk}/lines?{query}").json()
        assert (part["first"], part["texts"][-1]) == (first, f"line {last}")
    around = people.guest.get(f"/jobs/{job.pk}/lines?around=99999999999999999").json()
    assert around["first"] == 2001
    assert people.stranger.get(f"/jobs/{job.pk}/lines").status_code == 404


def test_a_viewer_sees_why_controls_are_off(people: People, project: Project) -> None:
    job = make_job(project)
    page = text(people.guest.get(f"/jobs/{job.pk}/"))
    assert "needs operator" in page
    assert f"/jobs/{job.pk}/stop" not in page
    assert people.guest.get("/jobs/add").status_code == 403
    assert people.guest.post(f"/jobs/{job.pk}/stop").status_code == 403
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_stop_relaunch_and_start(operator: Client, project: Project) -> None:
    job = make_job(project, name="one")
    back = operator.post(f"/jobs/{job.pk}/stop", {"next": "/jobs/?status=waiting"})
    assert back.headers["Location"] == "/jobs/?status=waiting"
    job.refresh_from_db()
    assert job.status == Status.STOPPED
    again = operator.post(f"/jobs/{job.pk}/relaunch", headers=HTMX)
    new = Job.objects.get(retry_of=job)
    assert again.headers["HX-Redirect"] == f"/jobs/{new.pk}/"
    pending = make_job(project, status=Status.PENDING, queued_at=None)
    answer = operator.post(f"/jobs/{pending.pk}/start", headers=HTMX)
    assert "is in the queue" in answer.headers["HX-Trigger"]
    pending.refresh_from_db()
    assert pending.status == Status.QUEUED


def test_a_refused_press_says_why(operator: Client, project: Project) -> None:
    job = ended(project)
    answer = operator.post(f"/jobs/{job.pk}/stop", headers=HTMX)
    assert answer.status_code == 204
    assert "It has already ended" in answer.headers["HX-Trigger"]
    answer = operator.post(f"/jobs/{job.pk}/stop", {"next": "//elsewhere.example"}, follow=True)
    assert answer.redirect_chain[0][0] == f"/jobs/{job.pk}/"
    assert "It has already ended" in text(answer)


def test_delete_undo_and_the_trash(operator: Client, people: People, project: Project) -> None:
    job = ended(project, name="old run")
    answer = operator.post(f"/jobs/{job.pk}/delete", follow=True)
    assert "old run" in text(answer)
    assert f"/jobs/{job.pk}/restore" in text(answer)
    assert "old run" in text(operator.get("/jobs/trash"))
    assert "old run" not in text(people.stranger.get("/jobs/trash"))
    assert operator.get(f"/jobs/{job.pk}/").status_code == 404
    operator.post(f"/jobs/{job.pk}/restore")
    assert operator.get(f"/jobs/{job.pk}/").status_code == 200


def test_a_job_is_made_with_the_form(operator: Client, project: Project) -> None:
    data = form(
        project,
        gpus="0, 3",
        environment="EPOCHS=3\r\nHF_TOKEN=hunter22\r\n",
        config='{"lr": 0.1}',
        command="python a.py\r\npython b.py",
        max_minutes="90",
        not_before="2026-12-24T18:00",
    )
    data["not_before"] = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    made = operator.post("/jobs/add", data)
    job = Job.objects.get()
    assert made.headers["Location"] == f"/jobs/{job.pk}/?tab=log"
    assert (job.gpus, job.config, job.max_minutes) == ([0, 3], {"lr": 0.1}, 90)
    assert job.environment == {"EPOCHS": "3", "HF_TOKEN": "hunter22"}
    assert job.command == "python a.py\npython b.py"
    assert job.status == Status.QUEUED
    operator.post("/jobs/add", form(project, name="later", step="later"))
    assert Job.objects.get(name="later").status == Status.PENDING


@pytest.mark.parametrize(
    ("fields", "where", "said"),
    [
        ({"name": ""}, "name", "This field is required"),
        ({"command": ""}, "command", "A job needs a command"),
        ({"gpus": "two"}, "gpus", "A count such as 2"),
        ({"gpus": "1,1"}, "gpus", "A GPU stands there twice"),
        ({"environment": "A=1\nnonsense"}, "environment", "Line 2 is not NAME=value"),
        ({"environment": "LD_PRELOAD=x"}, "environment", "LD_PRELOAD is set by the site"),
        ({"config": '{\n"a": NaN}'}, "config", "Line 2"),
        ({"config": "[1]"}, "config", "It has to be a JSON object"),
        ({"kind": "container", "image": "--privileged"}, "image", "not the name of an image"),
        ({"max_minutes": "0"}, "max_minutes", "greater than or equal to 1"),
        ({"project_id": "nonsense"}, "project_id", "Select a valid choice"),
    ],
)
def test_the_form_names_its_errors(
    operator: Client, project: Project, fields: dict[str, str], where: str, said: str
) -> None:
    answer = operator.post("/jobs/add", form(project) | fields, headers=HTMX)
    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors[where])
    assert Job.objects.count() == 0


def test_the_form_is_filled_from_the_last_run_without_its_secrets(
    operator: Client, project: Project
) -> None:
    environment = {"HF_TOKEN": "hunter22", "EPOCHS": "3"}
    old = make_job(project, command="python old.py", environment=environment, gpus=[0])
    page = text(operator.get(f"/jobs/add?project={project.pk}"))
    assert "python old.py" in page
    assert "EPOCHS=3" in page
    assert "hunter22" not in page
    sent = form(project, environment=f"HF_TOKEN={MASK}\nEPOCHS=4", source=str(old.pk))
    operator.post("/jobs/add", sent)
    assert Job.objects.get(name="run").environment == {"HF_TOKEN": "hunter22", "EPOCHS": "4"}


def test_a_strangers_job_fills_nothing(people: People, operator: Client, project: Project) -> None:
    foreign = make_job(command="python theirs.py", environment={"HF_TOKEN": "theirs"})
    assert "theirs" not in text(operator.get(f"/jobs/add?from={foreign.pk}"))
    sent = form(project, environment=f"HF_TOKEN={MASK}", source=str(foreign.pk))
    operator.post("/jobs/add", sent)
    assert Job.objects.get(name="run").environment == {"HF_TOKEN": MASK}


def test_the_exact_command_is_that_of_the_launch(operator: Client, project: Project) -> None:
    sent = form(project, virtualenv="/srv/my venv", environment="HF_TOKEN=hunter22")
    shown = operator.post("/jobs/preview", sent).context["script"]
    assert "cd -- /srv/mnist\n" in shown
    assert ". '/srv/my venv/bin/activate'\n" in shown
    assert "export CUDA_VISIBLE_DEVICES=''" in shown
    assert shown.endswith("python train.py")
    assert "hunter22" not in shown
    sent = form(project, kind="container", image="nvcr.io/nvidia/pytorch:25.01", gpus="2")
    shown = operator.post("/jobs/preview", sent).context["script"]
    assert "exec docker run --rm --init" in shown
    assert "chosen-when-it-starts" in shown
    assert "A job needs a command" in text(
        operator.post("/jobs/preview", form(project, command=""))
    )
    assert Job.objects.count() == 0


def test_the_palette_finds_jobs(people: People, project: Project) -> None:
    job = make_job(project, name="run-7")
    items = people.guest.get("/palette").json()["items"]
    found = next(item for item in items if item["kind"] == "job")
    assert (found["label"], found["href"]) == ("run-7", f"/jobs/{job.pk}/")
    assert found["detail"] == "queued · mnist"
    theirs = people.stranger.get("/palette").json()["items"]
    assert "job" not in {item["kind"] for item in theirs}


def test_hostile_names_are_text(people: People, project: Project) -> None:
    name = "<img src=x onerror=alert(1)>"
    job = with_log(ended(project, Status.FAILED, name=name, command=name), b"<script>error: x\n")
    User.objects.filter(username="guest").update(first_name=name)
    for path in ("/jobs/", f"/jobs/{job.pk}/", f"/jobs/{job.pk}/?tab=log"):
        page = text(people.guest.get(path))
        assert "<img src=x" not in page
        assert "<script>error" not in page
