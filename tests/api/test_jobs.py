"""Jobs over the API: what works, what each role may, what is refused and how."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from connections.models import Connection
from jobs.log import store as log_store
from jobs.models import MASK, Job, LogChunk, MachineQueue, Status
from projects.models import Project
from tests.api.client import fields_of
from tests.api.conftest import World
from tests.factories import make_connection
from tests.jobs.rows import make_job, make_project

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def project(world: World) -> Project:
    return make_project(world.machine)


def body(project: Project, **fields: Any) -> dict[str, Any]:
    return {"project_id": str(project.pk), "name": "train", "command": "python train.py"} | fields


def test_makes_a_job_and_queues_it(world: World, project: Project) -> None:
    answer = world.operator.post("/jobs", body(project, gpus=2, config={"lr": 0.1}))
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["gpus"], made["config"]) == ("queued", 2, {"lr": 0.1})
    assert made["connection_id"] == str(world.machine.pk)
    assert (made["wait_for_gpu"], made["priority"], made["exit_code"]) == (True, 0, None)
    assert world.viewer.get(f"/jobs/{made['id']}").json() == made | {"origin": None}
    events = world.viewer.get(f"/jobs/{made['id']}/events").json()["items"]
    assert [(e["from"], e["to"]) for e in events] == [(None, "queued")]


def test_start_false_leaves_it_pending_until_it_is_started(world: World, project: Project) -> None:
    made = world.operator.post("/jobs", body(project, start=False)).json()
    assert made["status"] == "pending"
    assert world.viewer.post(f"/jobs/{made['id']}/start").status_code == 403
    started = world.operator.post(f"/jobs/{made['id']}/start")
    assert (started.status_code, started.json()["status"]) == (202, "queued")
    assert world.operator.post(f"/jobs/{made['id']}/start").status_code == 202


def test_the_same_key_makes_one_job(world: World, project: Project) -> None:
    answers = [
        world.operator.post("/jobs", body(project), **{"Idempotency-Key": "k"}) for _ in range(3)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Job.objects.count() == 1
    other = world.operator.post("/jobs", body(project, name="b"), **{"Idempotency-Key": "k"})
    assert other.status_code == 409


def test_a_stranger_finds_nothing(world: World, project: Project) -> None:
    job = make_job(project)
    for path in ("", "/log", "/log/download", "/log/search", "/events"):
        assert world.stranger.get(f"/jobs/{job.pk}{path}").status_code == 404
    assert world.stranger.post("/jobs", body(project)).status_code == 404
    assert world.stranger.get("/jobs").json() == {"items": [], "count": 0}
    assert world.viewer.get("/jobs").json()["count"] == 1
    assert world.viewer.post("/jobs", body(project)).status_code == 403


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"command": ""}, "command"),
        ({"command": "x" * 500_000}, "command"),
        ({"command": 7}, "command"),
        ({"kind": "container"}, "image"),
        ({"kind": "container", "image": "--privileged"}, "image"),
        ({"kind": "container", "image": "-v /:/h"}, "image"),
        ({"kind": "container", "image": "a b"}, "image"),
        ({"kind": "container", "image": "img;id"}, "image"),
        ({"kind": "container", "image": "a" * 5000}, "image"),
        ({"image": "ubuntu:24.04"}, "image"),
        ({"kind": "script"}, "kind"),
        ({"environment": {"A=B": "x"}}, "environment"),
        ({"environment": {"LD_PRELOAD": "x"}}, "environment"),
        ({"environment": {"BASH_ENV": "x"}}, "environment"),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "0"}}, "environment"),
        ({"environment": {"DGXSITE_JOB": "x"}}, "environment"),
        ({"environment": {"A": "x\ny"}}, "environment"),
        ({"environment": {"A": 1}}, "environment"),
        ({"environment": {"1A": ""}}, "environment"),
        ({"gpus": -1}, "gpus"),
        ({"gpus": True}, "gpus"),
        ({"gpus": 1.5}, "gpus"),
        ({"gpus": "0,1"}, "gpus"),
        ({"gpus": [0, 0]}, "gpus"),
        ({"gpus": [0, -1]}, "gpus"),
        ({"gpus": [99999]}, "gpus"),
        ({"gpus": ["all"]}, "gpus"),
        ({"gpus": ["0;id"]}, "gpus"),
        ({"gpus": [True]}, "gpus"),
        ({"max_minutes": 0}, "max_minutes"),
        ({"max_minutes": 10**9}, "max_minutes"),
        ({"max_minutes": 0.5}, "max_minutes"),
        ({"max_retries": -1}, "max_retries"),
        ({"priority": 10**9}, "priority"),
        ({"not_before": "2020-01-01T00:00:00Z"}, "not_before"),
        ({"not_before": "2999-01-01T00:00:00Z"}, "not_before"),
        ({"not_before": "2026-02-30T00:00:00Z"}, "not_before"),
        ({"not_before": "2027-01-01T00:00:00"}, "not_before"),
        ({"virtualenv": "v", "conda_env": "c"}, "conda_env"),
        ({"conda_env": "$(id)"}, "conda_env"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"owner_id": 1}, "owner_id"),
    ],
)
def test_refuses_what_is_not_a_job(
    world: World, project: Project, fields: dict[str, Any], field: str
) -> None:
    answer = world.operator.post("/jobs", body(project, **fields))
    assert answer.status_code == 422, answer.content
    assert field in " ".join(fields_of(answer))
    assert not Job.objects.exists()


def test_refuses_a_nul(world: World, project: Project) -> None:
    answer = world.operator.post("/jobs", body(project, command="a\x00b"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json")


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "echo 'a\"; $(id) `id` \\\n–'\n" * 5000},
        {"name": "x'; curl …", "environment": {"A": "$(id); 'x' \"y\"", "_b2": ""}},
        {"kind": "container", "image": "nvcr.io/nvidia/pytorch:25.01-py3", "command": ""},
        {"kind": "container", "image": "localhost:5000/a/b@sha256:" + "a" * 64},
        {"gpus": [0, 3, "MIG-41b35014-ae76-5c1a-b9b0-2c7e4b1d6f0a"]},
        {"not_before": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ],
)
def test_takes_what_is(world: World, project: Project, fields: dict[str, Any]) -> None:
    sent = body(project, **fields)
    answer = world.operator.post("/jobs", sent)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert all(made[name] == sent[name] for name in sent if name != "not_before")


def test_values_of_secret_variables_are_never_shown(world: World, project: Project) -> None:
    variables = {"HF_TOKEN": "hf_123456", "EPOCHS": "3", "MARKED": "m-123456"}
    made = world.operator.post(
        "/jobs", body(project, environment=variables, secret_names=["MARKED"])
    ).json()
    assert made["environment"] == {"HF_TOKEN": MASK, "EPOCHS": "3", "MARKED": MASK}
    again = world.operator.patch(
        f"/jobs/{made['id']}", {"environment": made["environment"] | {"EPOCHS": "4"}}
    )
    assert again.status_code == 200
    job = Job.objects.get(pk=made["id"])
    assert job.environment == variables | {"EPOCHS": "4"}
    assert "hf_123456" not in str(Job.objects.filter(pk=job.pk).values())


def test_jobs_of_other_machines(world: World, project: Project) -> None:
    local = make_project(make_connection(world.team, transport="local"))
    assert fields_of(world.operator.post("/jobs", body(local))) == {"project_id"}
    Project.objects.filter(pk=project.pk).update(status="archived")
    assert world.operator.post("/jobs", body(project)).status_code == 409
    assert world.operator.post("/jobs", body(project, project_id=str(uuid4()))).status_code == 404


def test_a_job_comes_after_another_but_not_in_a_circle(world: World, project: Project) -> None:
    first = world.operator.post("/jobs", body(project)).json()
    second = world.operator.post("/jobs", body(project, after=first["id"])).json()
    assert second["after"] == first["id"]
    circle = world.operator.patch(f"/jobs/{first['id']}", {"after": second["id"]})
    assert fields_of(circle) == {"after"}
    foreign = make_job()
    assert world.operator.post("/jobs", body(project, after=str(foreign.pk))).status_code == 404


def test_stops_what_waits_and_refuses_what_has_ended(world: World, project: Project) -> None:
    job = make_job(project)
    assert world.viewer.post(f"/jobs/{job.pk}/stop").status_code == 403
    answer = world.operator.post(f"/jobs/{job.pk}/stop")
    assert (answer.status_code, answer.json()["status"]) == (202, "stopped")
    assert world.operator.post(f"/jobs/{job.pk}/stop").status_code == 409
    assert world.operator.post(f"/jobs/{job.pk}/start").status_code == 409


def test_a_running_job_is_wished_to_stop(world: World, project: Project) -> None:
    job = make_job(project)
    job.move(Status.STARTING, "test")
    answer = world.operator.post(f"/jobs/{job.pk}/stop").json()
    assert (answer["status"], answer["stop_requested_at"] is None) == ("starting", False)
    job.move(Status.RUNNING, "test")
    assert world.operator.post(f"/jobs/{job.pk}/stop").json()["status"] == "stopping"
    assert world.operator.post(f"/jobs/{job.pk}/stop").json()["status"] == "stopping"


def test_retry_makes_a_new_job(world: World, project: Project) -> None:
    old = make_job(project, environment={"A_KEY": "secret-1"}, gpus=[1], max_minutes=5)
    follower = make_job(project, after=old)
    assert world.operator.post(f"/jobs/{old.pk}/retry").status_code == 409
    old.move(Status.STOPPED, "test")
    answer = world.operator.post(f"/jobs/{old.pk}/retry")
    assert answer.status_code == 201
    new = Job.objects.get(pk=answer.json()["id"])
    assert (new.retry_of_id, new.status, new.gpus, new.max_minutes) == (old.pk, "queued", [1], 5)
    assert new.environment == {"A_KEY": "secret-1"}
    follower.refresh_from_db()
    assert follower.after_id == new.pk
    assert world.operator.post(f"/jobs/{old.pk}/retry").status_code == 201


def test_changes_most_while_it_waits_and_little_afterwards(world: World, project: Project) -> None:
    job = make_job(project)
    changes = {"priority": 5, "gpus": [0], "command": "b", "max_minutes": 3, "config": {"a": 1}}
    answer = world.operator.patch(f"/jobs/{job.pk}", changes)
    assert answer.status_code == 200
    assert all(answer.json()[name] == value for name, value in changes.items())
    assert world.viewer.patch(f"/jobs/{job.pk}", {"name": "b"}).status_code == 403
    job.refresh_from_db()
    job.move(Status.STARTING, "test")
    assert world.operator.patch(f"/jobs/{job.pk}", {"priority": 1}).status_code == 409
    assert world.operator.patch(f"/jobs/{job.pk}", {"name": "b"}).json()["name"] == "b"


def test_deletes_and_restores(world: World, project: Project) -> None:
    job = make_job(project)
    job.move(Status.STARTING, "test")
    assert world.operator.delete(f"/jobs/{job.pk}").status_code == 409
    waiting = make_job(project)
    assert world.viewer.delete(f"/jobs/{waiting.pk}").status_code == 403
    assert world.operator.delete(f"/jobs/{waiting.pk}").status_code == 204
    assert world.operator.get(f"/jobs/{waiting.pk}").status_code == 404
    answer = world.operator.post(f"/jobs/{waiting.pk}/restore")
    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")


def test_reads_a_log_by_offset(world: World, project: Project) -> None:
    job = make_job(project)
    text = "größer\n".encode() + b"\xff\x1b[31mred\n"
    log_store.append(job, text, NOW)
    whole = world.viewer.get(f"/jobs/{job.pk}/log").json()
    shown = text.decode("utf-8", "replace")
    assert whole == {"offset": 0, "next_offset": 19, "text": shown, "complete": False}
    part = world.viewer.get(f"/jobs/{job.pk}/log", offset=0, limit=3).json()
    assert (part["text"], part["next_offset"]) == ("gr", 2)
    Job.objects.filter(pk=job.pk).update(log_complete=True)
    assert world.viewer.get(f"/jobs/{job.pk}/log", offset=2).json()["complete"] is True
    beyond = world.viewer.get(f"/jobs/{job.pk}/log", offset=99).json()
    assert (beyond["text"], beyond["next_offset"], beyond["complete"]) == ("", 99, True)
    for query in ({"offset": -1}, {"limit": 0}, {"limit": 10**9}, {"offset": 2**63}):
        assert world.viewer.get(f"/jobs/{job.pk}/log", **query).status_code == 422
    # Kept long enough and dropped: who follows it is not kept waiting.
    LogChunk.objects.all().delete()
    gone = world.viewer.get(f"/jobs/{job.pk}/log").json()
    assert gone == {"offset": 0, "next_offset": 0, "text": "", "complete": True}


def test_searches_a_log(world: World, project: Project) -> None:
    job = make_job(project)
    log_store.append(job, b"epoch 1\nError: no memory\nepoch 2\n", NOW)
    found = world.viewer.get(f"/jobs/{job.pk}/log/search", q="ERROR").json()
    assert found == {
        "items": [{"line": 2, "offset": 8, "text": "Error: no memory"}],
        "count": 1,
    }
    assert world.viewer.get(f"/jobs/{job.pk}/log/search").status_code == 422


def test_filters_the_list(world: World, project: Project) -> None:
    mine, other = make_job(project, name="alpha"), make_job(make_project(world.machine))
    other.move(Status.STOPPED, "test")

    def ids(**query: Any) -> list[str]:
        return [item["id"] for item in world.viewer.get("/jobs", **query).json()["items"]]

    assert ids() == [str(other.pk), str(mine.pk)]
    assert ids(project_id=project.pk) == [str(mine.pk)]
    assert ids(status="stopped") == [str(other.pk)]
    assert ids(q="ALPHA") == [str(mine.pk)]
    assert ids(connection_id=world.machine.pk, limit=1) == [str(other.pk)]
    assert world.viewer.get("/jobs", status="done").status_code == 422


def test_a_list_asks_few_questions(
    world: World, project: Project, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_job(project)
    with django_assert_max_num_queries(10):
        assert world.viewer.get("/jobs").json()["count"] == 20


def test_the_rules_of_a_queue(world: World, project: Project) -> None:
    path = f"/connections/{world.machine.pk}/queue"
    assert world.viewer.get(path).json() == {
        "is_paused": False,
        "paused_by": None,
        "paused_at": None,
        "idle_percent": 5.0,
        "idle_bytes": 500 * 2**20,
        "hold_seconds": 10.0,
        "per_person": None,
    }
    assert world.operator.patch(path, {"is_paused": True}).status_code == 403
    changed = world.admin.patch(path, {"is_paused": True, "per_person": 2}).json()
    assert (changed["is_paused"], changed["per_person"]) == (True, 2)
    assert MachineQueue.of(world.machine.pk).is_paused
    assert world.admin.patch(path, {"hold_seconds": -1}).status_code == 422
    assert world.stranger.get(path).status_code == 404


def test_a_job_takes_the_projects_configuration_and_keeps_to_its_schema(
    world: World, project: Project
) -> None:
    project.config = {"epochs": 5}
    project.config_schema = {"type": "object", "properties": {"epochs": {"minimum": 1}}}
    project.save()
    assert world.operator.post("/jobs", body(project)).json()["config"] == {"epochs": 5}
    other = world.operator.post("/jobs", body(project, config={"epochs": 9}))
    assert other.json()["config"] == {"epochs": 9}
    refused = world.operator.post("/jobs", body(project, config={"epochs": 0}))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "config.epochs"
    path = f"/jobs/{other.json()['id']}"
    assert world.operator.patch(path, {"config": {"epochs": 0}}).status_code == 422
    assert world.operator.patch(path, {"config": {"epochs": 2}}).json()["config"] == {"epochs": 2}


def test_an_answer_is_replayed_although_it_could_not_be_given_again(
    world: World, project: Project
) -> None:
    key = {"Idempotency-Key": "k"}
    first = world.operator.post("/jobs", body(project), **key)
    Project.objects.filter(pk=project.pk).update(status="archived")
    again = world.operator.post("/jobs", body(project), **key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = world.operator.post("/jobs", body(project, name="b"), **key)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("fields", [{"status": "archived"}, {"deleted_at": datetime.now(UTC)}])
def test_nothing_is_started_in_a_project_that_is_put_away(
    world: World, project: Project, fields: dict[str, Any]
) -> None:
    ended, pending = make_job(project), make_job(project, status=Status.PENDING)
    assert ended.move(Status.STOPPED, who="test", why="test")
    Project.objects.filter(pk=project.pk).update(**fields)
    assert world.operator.post(f"/jobs/{ended.pk}/retry").status_code == 409
    assert world.operator.post(f"/jobs/{pending.pk}/start").status_code == 409
    assert Job.objects.count() == 2


def test_a_project_with_waiting_jobs_is_not_deleted(world: World, project: Project) -> None:
    job = make_job(project)
    assert world.operator.delete(f"/projects/{project.pk}").status_code == 409
    job.move(Status.STOPPED, "test")
    assert world.operator.delete(f"/projects/{project.pk}").status_code == 204
    assert Connection.objects.filter(pk=world.machine.pk).exists()


def test_tells_what_a_job_printed_and_used(world: World) -> None:
    job = make_job(make_project(world.machine))
    log_store.append(job, b"step=5 loss=0.5\n", NOW)
    answer = world.viewer.get(f"/jobs/{job.pk}/metrics", max_points=10)
    assert answer.status_code == 200
    found = answer.json()
    assert found["scalars"]["loss"]["step"] == [5]
    assert (found["energy_wh"], found["peak_gpu_memory_bytes"]) == (None, None)
    job.move(Status.STARTING, "test", granted=["0"])
    job.move(Status.RUNNING, "test", started_at=NOW)
    found = world.viewer.get(f"/jobs/{job.pk}/metrics", max_points=10).json()
    assert list(found["series"]["gpus"]) == ["0"]
    assert len(found["series"]["timestamp"]) <= 10
    assert world.stranger.get(f"/jobs/{job.pk}/metrics").status_code == 404
    assert world.viewer.get(f"/jobs/{job.pk}/metrics", max_points=0).status_code == 422


def test_tells_the_curves_that_are_asked_for(world: World) -> None:
    job = make_job(make_project(world.machine))
    path = f"/jobs/{job.pk}/scalars"
    assert world.viewer.get(path).json()["names"] == []
    lines = b"".join(b"step=%d lr=0.1 x=2 loss=%d eval_loss=nan y=1\n" % (n, n) for n in range(50))
    log_store.append(job, lines, NOW)
    found = world.viewer.get(path).json()
    assert found["names"] == ["eval_loss", "loss", "lr", "x", "y"]
    assert sorted(found["scalars"]) == ["eval_loss", "loss", "lr", "x"]
    assert found["last"]["loss"] == {"step": 49, "value": 49.0}
    assert (found["end"], found["complete"]) == (None, False)
    some = world.viewer.get(path, name=["y", "loss", "later"], max_points=10).json()
    assert sorted(some["scalars"]) == ["loss", "y"]
    assert len(some["scalars"]["loss"]["step"]) == 10
    assert world.viewer.get(path, name="").json()["scalars"] == {}
    assert world.viewer.get(path, max_points=5001).status_code == 422
    assert world.stranger.get(path).status_code == 404


def test_the_old_path_of_gpu_alerts_leads_to_the_new_one(world: World) -> None:
    old = f"/connections/{world.machine.pk}/gpu-wishes"
    for answer in (
        world.viewer.get(old),
        world.viewer.post(old, {"gpu": 2}),
        world.viewer.delete(old),
    ):
        assert answer.status_code == 308
        assert answer["Location"] == f"/api/v1/connections/{world.machine.pk}/gpu-alerts"
    assert world.viewer.get(old, page_size=1)["Location"].endswith("/gpu-alerts?page_size=1")
    assert world.stranger.get(old).status_code == 404
    assert world.nobody.get(old).status_code == 401


def test_whoever_sees_a_machine_may_wait_for_its_gpus(world: World) -> None:
    path = f"/connections/{world.machine.pk}/gpu-alerts"
    assert world.viewer.post(path, {"gpu": 2}).status_code == 201
    assert world.viewer.post(path, {"gpu": 2}).json()["gpu"] == 2
    assert [one["gpu"] for one in world.viewer.get(path).json()["items"]] == [2]
    assert world.operator.get(path).json()["count"] == 0
    assert world.viewer.delete(path).status_code == 204
    assert world.viewer.get(path).json()["count"] == 0
    for client in (world.stranger.get(path), world.stranger.post(path, {"gpu": 2})):
        assert client.status_code == 404
    assert world.viewer.post(path, {"gpu": -1}).status_code == 422
    assert world.nobody.post(path, {"gpu": 2}).status_code == 401
