"""Secrets of a job and of a project's configuration, at every door that shows them."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, User
from accounts.policy import Caller
from core.errors import Invalid
from jobs import hidden_values, services
from jobs.models import MASK, Job
from projects import services as projects
from projects.models import Project
from tests import factories
from tests.api.client import Api
from tests.jobs.rows import make_job, make_project

CONFIG = {"lr": 0.5, "wandb": {"api_key": "sesame-open"}, "keys": [{"token": "tok-12345"}]}
VARIABLES = {"COLOUR": "vermilion", "HF_TOKEN": "hf-canary", "PLAIN": "in the open"}
CANARIES = ("sesame-open", "tok-12345", "vermilion", "hf-canary")


@pytest.fixture
def project(db: None) -> Project:
    row = make_project()
    row.config = CONFIG
    row.save()
    return row


@pytest.fixture
def operator(project: Project) -> User:
    user = factories.make_user()
    factories.join(user, project.team, Role.OPERATOR)
    return user


@pytest.fixture
def job(project: Project) -> Job:
    return make_job(
        project, environment=VARIABLES, secret_names=["COLOUR"], config=CONFIG, status="queued"
    )


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


# --- Marked stays marked ---


@pytest.mark.parametrize(
    "sent",
    [
        {"secret_names": []},
        {"secret_names": ["OTHER"]},
        {"secret_names": [], "environment": VARIABLES | {"COLOUR": MASK}},
        {"secret_names": [], "environment": VARIABLES | {"COLOUR": "another"}},
    ],
)
def test_whoever_sends_another_list_a_mark_stays(
    job: Job, operator: User, sent: dict[str, Any]
) -> None:
    api = Api(factories.make_token(operator))
    answer = api.patch(f"/jobs/{job.pk}", sent)
    assert answer.status_code == 200, answer.content
    assert answer.json()["environment"]["COLOUR"] == MASK
    assert api.get(f"/jobs/{job.pk}").json()["environment"]["COLOUR"] == MASK
    assert b"vermilion" in hidden_values.secrets_of(again(job)) or "another" in str(sent)


def test_marks_that_guard_nothing_do_not_pile_up(job: Job, operator: User) -> None:
    for number in range(3):
        services.change(Caller(operator), job.pk, {"secret_names": [f"N{number}"]})
    assert again(job).secret_names == ["N2", "COLOUR"]


def test_a_form_that_was_filled_from_a_job_takes_its_marks_along(job: Job, operator: User) -> None:
    client = Client()
    client.force_login(operator)
    page = client.get("/jobs/add", {"from": str(job.pk)}).content.decode()
    assert [word for word in CANARIES if word in page] == []
    sent = {
        "project_id": str(job.project_id), "name": "again", "kind": "command", "command": "true",
        "gpus": "0", "environment": f"COLOUR={MASK}\nPLAIN=x", "secret_names": "",
        "config": json.dumps(hidden_values.shown_config(job)),
        "source": str(job.pk), "step": "later",
    }  # fmt: skip
    assert client.post("/jobs/preview", sent).status_code == 200
    made = client.post("/jobs/add", sent)
    assert made.status_code == 302, made.content.decode()[-2000:]
    row = Job.objects.get(name="again")
    assert (row.environment["COLOUR"], row.secret_names) == ("vermilion", ["COLOUR"])
    assert row.config == CONFIG


def test_a_retry_keeps_marks_and_secrets(job: Job, operator: User) -> None:
    services.stop(Caller(operator), job.pk)
    row = services.retry(Caller(operator), job.pk)
    assert again(row).secret_names == ["COLOUR"]
    assert again(row).config == CONFIG


# --- What is shown, and what comes back ---


def test_no_door_shows_them_not_even_to_a_superuser(job: Job, project: Project) -> None:
    person = factories.make_user(is_superuser=True, is_staff=True)
    client, api = Client(), Api(factories.make_token(person))
    client.force_login(person)
    machine, other = job.connection_id, make_job(project, config=CONFIG)
    paths = [
        f"/jobs/compare?job={job.pk}&job={other.pk}",
        f"/jobs/{job.pk}/", f"/jobs/{job.pk}/?tab=config", f"/jobs/{job.pk}/?tab=log", "/jobs/",
        f"/jobs/add?from={job.pk}", f"/jobs/add?project={project.pk}", f"/jobs/{job.pk}/report",
        f"/projects/{project.pk}/?tab=config", f"/projects/{project.pk}/", "/projects/",
        f"/machines/{machine}/?tab=jobs", f"/machines/{machine}/?tab=projects",
        f"/admin/jobs/job/{job.pk}/change/", f"/admin/projects/project/{project.pk}/change/",
        f"/admin/jobs/job/{job.pk}/history/",
    ]  # fmt: skip
    pages = {path: client.get(path) for path in paths}
    pages |= {
        path: api.get(path)
        for path in (
            "/jobs", f"/jobs/{job.pk}", "/projects", f"/projects/{project.pk}",
            f"/jobs/compare?job={job.pk}&job={other.pk}", f"/jobs/{job.pk}/metrics",
        )
    }  # fmt: skip
    assert {path: one.status_code for path, one in pages.items() if one.status_code != 200} == {}
    shown = {path: answer.content.decode() for path, answer in pages.items()}
    assert [(p, w) for p, text in shown.items() for w in CANARIES if w in text] == []
    for path in (f"/jobs/{job.pk}/?tab=config", f"/admin/projects/project/{project.pk}/change/"):
        assert MASK in shown[path], path
    assert "in the open" in shown[f"/jobs/{job.pk}/?tab=config"]


def test_what_comes_back_over_the_api_as_it_was_shown_stays(
    job: Job, project: Project, operator: User
) -> None:
    api = Api(factories.make_token(operator))
    shown = api.get(f"/jobs/{job.pk}").json()["config"]
    assert shown["wandb"] == {"api_key": MASK}
    api.patch(f"/jobs/{job.pk}", {"config": shown | {"lr": 0.25}})
    assert again(job).config == CONFIG | {"lr": 0.25}
    shown = api.get(f"/projects/{project.pk}").json()["config"]
    assert api.patch(f"/projects/{project.pk}", {"config": shown | {"lr": 1}}).status_code == 200
    project.refresh_from_db()
    assert project.config == CONFIG | {"lr": 1}
    made = api.post(
        "/jobs",
        {"project_id": str(project.pk), "name": "n", "command": "true", "config": shown},
    )
    assert made.status_code == 201, made.content
    assert Job.objects.get(pk=made.json()["id"]).config == CONFIG


def test_stars_for_which_there_is_no_value_are_refused(job: Job, operator: User) -> None:
    api = Api(factories.make_token(operator))
    for path in (f"/jobs/{job.pk}", f"/projects/{job.project_id}"):
        answer = api.patch(path, {"config": {"other": {"api_key": MASK}}})
        assert answer.status_code == 422
        assert "other.api_key" in answer.json()["errors"][0]["message"]


PAIRS = {"env": [{"name": "HF_TOKEN", "value": "hf-of-the-project"}], "lr": 1}
RENAMED = {"env": [{"name": "harmless", "value": MASK}], "lr": 1}


def test_whoever_renames_a_neighbour_does_not_read_its_value(
    job: Job, project: Project, operator: User
) -> None:
    Job.objects.filter(pk=job.pk).update(config=PAIRS)
    project.config = PAIRS
    project.save()
    api = Api(factories.make_token(operator))
    new = {"project_id": str(project.pk), "name": "n", "command": "true", "start": False}
    answers = [
        api.patch(f"/jobs/{job.pk}", {"config": RENAMED}),
        api.post("/jobs", new | {"config": RENAMED}),
        api.patch(f"/projects/{project.pk}", {"config": RENAMED}),
    ]
    for answer in answers:
        assert "hf-of-the-project" not in answer.content.decode()
    assert [answer.status_code for answer in answers[:2]] == [422, 422]
    with pytest.raises(Invalid, match=r"env\.0\.value"):
        hidden_values.config_behind(again(job), RENAMED)
    assert hidden_values.config_behind(again(job), PAIRS | {"lr": 2}) == PAIRS | {"lr": 2}


def test_a_variable_that_hides_its_value_elsewhere_stays_while_the_value_does(
    job: Job, operator: User
) -> None:
    Job.objects.filter(pk=job.pk).update(config={"note": "use hf-canary here"})
    api = Api(factories.make_token(operator))
    shown = api.get(f"/jobs/{job.pk}").json()["config"]
    assert "hf-canary" not in shown["note"]
    without = {name: value for name, value in VARIABLES.items() if name != "HF_TOKEN"}
    for sent in ({"environment": without}, {"environment": without, "config": shown}):
        answer = api.patch(f"/jobs/{job.pk}", sent)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "environment")
    gone = {"environment": without, "config": {"note": "nothing"}}
    assert api.patch(f"/jobs/{job.pk}", gone).status_code == 200
    client = Client()
    client.force_login(operator)
    other = make_job(job.project, environment=VARIABLES, config={"note": "hf-canary"})
    sent = {
        "project_id": str(job.project_id), "name": "again", "kind": "command", "command": "true",
        "gpus": "0", "environment": "PLAIN=x", "secret_names": "", "step": "later",
        "config": json.dumps(hidden_values.shown_config(other)), "source": str(other.pk),
    }  # fmt: skip
    assert "no longer be there" in client.post("/jobs/add", sent).content.decode()
    assert not Job.objects.filter(name="again").exists()


def test_the_editor_of_a_configuration_keeps_what_it_does_not_show(
    project: Project, operator: User
) -> None:
    client, path = Client(), f"/projects/{project.pk}/config"
    client.force_login(operator)
    shown = client.get(f"/projects/{project.pk}/?tab=config").context["config_text"]
    sent = {"config_text": shown.replace("0.5", "0.75"), "schema_text": "", "step": "review"}
    review = client.post(path, sent).content.decode()
    assert "0.75" in review
    assert [word for word in CANARIES if word in review] == []
    client.post(path, sent | {"step": "save"})
    project.refresh_from_db()
    assert project.config == CONFIG | {"lr": 0.75}
    other = client.post(path, sent | {"config_text": shown.replace(MASK, "new-word", 1)})
    assert f"{MASK} (changed)" in other.content.decode().replace("&quot;", '"')


def test_a_schema_that_does_not_fit_repeats_no_secret(project: Project, operator: User) -> None:
    caller = Caller(operator)
    nested = {"properties": {"wandb": {"properties": {"api_key": {"type": "integer"}}}}}
    schemas = [nested, {"not": {}}, {"maxProperties": 1}, {"properties": {"wandb": {"const": 1}}}]
    for schema in schemas:
        with pytest.raises(Invalid) as caught:
            projects.change(caller, project.pk, {"schema_text": json.dumps(schema)})
        told = str([error.message for error in caught.value.errors])
        assert [word for word in CANARIES if word in told] == []
        assert "does not keep to the schema" in told
    with pytest.raises(Invalid, match="'x' is a required property"):
        projects.change(caller, project.pk, {"schema_text": '{"required": ["x"]}'})


def test_a_log_hides_them_too(job: Job) -> None:
    assert {b"vermilion", b"hf-canary", b"sesame-open", b"tok-12345"} == set(
        hidden_values.secrets_of(job)
    )


def test_the_job_itself_gets_them(job: Job) -> None:
    assert job.config == CONFIG
    assert job.environment == VARIABLES
