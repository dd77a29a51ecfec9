"""Projects over the REST API, with the folder looked up on a real machine."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.auth import rate_limits
from accounts.models import AuditEvent
from accounts.policy import Caller
from connections.files import folders
from connections.models import Connection
from core.errors import Conflict, Invalid, Unavailable
from projects import attached, services
from projects import inputs as projects_inputs
from projects.models import Project
from tests import factories, sshd
from tests.api.client import Api, fields_of
from tests.api.conftest import World

WRITTEN = "~/mnist"


def body(machine: Connection, **fields: Any) -> dict[str, Any]:
    return {"connection_id": str(machine.pk), "name": "mnist", "remote_path": WRITTEN} | fields


def patch(api: Api, path: str, fields: dict[str, Any], if_match: str) -> Any:
    return api._send("patch", path, fields, {"If-Match": if_match})


def test_a_project_is_made_shown_and_listed(world: World, machine: Connection, home: Path) -> None:
    (home / "mnist").mkdir()
    config = {"z": 1, "a": {"lr": 0.1}}
    made = world.operator.post("/projects", body(machine, config=config, project_type="demo"))
    assert made.status_code == 201
    row = made.json()
    assert row["remote_path"] == WRITTEN
    assert row["resolved_path"] == str(home / "mnist")
    assert row["path_note"] is None
    assert list(row["config"]) == ["z", "a"]
    assert (row["status"], row["project_type"], row["description"]) == ("active", "demo", "")
    shown = world.viewer.get(f"/projects/{row['id']}")
    assert shown.json() == row
    assert shown.headers["ETag"] == '"1"'
    listed = world.viewer.get("/projects").json()
    assert listed == {"items": [row], "count": 1}
    event = AuditEvent.objects.get(action="project.create")
    assert (event.team, event.object_name) == (world.team, "mnist")


def test_a_folder_is_made_on_wish_alone(world: World, machine: Connection, home: Path) -> None:
    refused = world.operator.post("/projects", body(machine))
    assert refused.status_code == 422
    assert refused.json()["code"] == "folder_missing"
    assert fields_of(refused) == {"remote_path"}
    assert list(home.iterdir()) == []
    made = world.operator.post("/projects", body(machine, create_directory=True))
    assert made.status_code == 201
    assert (home / "mnist").is_dir()


def test_a_machine_that_is_off_leaves_a_note_and_is_asked_later(
    world: World, machine: Connection, server: sshd.Sshd, tmp_path: Path, home: Path
) -> None:
    server.stop()
    made = world.operator.post("/projects", body(machine, create_directory=True)).json()
    assert made["resolved_path"] is None
    assert made["path_note"].startswith("Not checked yet. ")
    row = Project.objects.get(pk=made["id"])
    with pytest.raises(Unavailable):
        services.folder_of(row)
    options = {"Subsystem": f"sftp internal-sftp -d {home}"}
    again = sshd.start(tmp_path / "sshd", port=server.port, options=options)
    try:
        assert services.folder_of(row) == str(home / "mnist")
        assert (home / "mnist").is_dir()
    finally:
        again.stop()
    kept = world.viewer.get(f"/projects/{row.pk}").json()
    assert (kept["resolved_path"], kept["path_note"]) == (str(home / "mnist"), None)
    assert kept["revision"] == 1


def test_a_machine_in_trouble_is_not_waited_for(world: World) -> None:
    world.machine.reason, world.machine.detail = "auth_failed", "The server refused the key."
    world.machine.save()
    made = world.operator.post("/projects", body(world.machine))
    assert made.json()["path_note"] == "Not checked yet. The server refused the key."


def test_check_keeps_what_the_machine_says(world: World, machine: Connection, home: Path) -> None:
    (home / "mnist").mkdir()
    made = world.operator.post("/projects", body(machine)).json()
    (home / "mnist").rmdir()
    checked = world.operator.post(f"/projects/{made['id']}/check").json()
    assert checked["resolved_path"] is None
    assert checked["path_note"] == f"{home}/mnist is not on the machine."
    (home / "mnist").mkdir()
    checked = world.operator.post(f"/projects/{made['id']}/check").json()
    assert checked["resolved_path"] == str(home / "mnist")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"description": "a\x1bb"}, "description"),
        ({"description": "x" * 2001}, "description"),
        ({"project_type": " "}, "project_type"),
        ({"project_type": "x" * 51}, "project_type"),
        ({"status": "running"}, "status"),
        ({"remote_path": ""}, "remote_path"),
        ({"remote_path": "../../etc/passwd"}, "remote_path"),
        ({"remote_path": "/a\nb"}, "remote_path"),
        ({"remote_path": "x" * 5000}, "remote_path"),
        ({"create_directory": "yes"}, "create_directory"),
        ({"config": []}, "config"),
        ({"config": None}, "config"),
        ({"config_schema": {"type": 5}}, "config_schema.type"),
        (
            {"config": {"a": "x"}, "config_schema": {"properties": {"a": {"type": "null"}}}},
            "config.a",
        ),
        ({"revision": 3}, "revision"),
        ({"connection_id": "nonsense"}, "connection_id"),
    ],
)
def test_bad_fields_are_named(world: World, fields: dict[str, Any], field: str) -> None:
    refused = world.operator.post("/projects", body(world.machine, **fields))
    assert refused.status_code == 422, refused.content
    assert field in fields_of(refused)
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ('{"a": NaN}', 422),
        ('{"a": 1e999}', 422),
        ('{"a": "\\u0000"}', 422),
        ('{"a": "\\ud800"}', 422),
        ('{"a": 1, "a": 2}', 422),
        ("[" * 100_000, 422),
        ('{"a": "' + "x" * 300_000 + '"}', 413),
        ('{"a": "' + "x" * 10_000_000 + '"}', 413),
    ],
    ids=["nan", "infinite", "nul", "surrogate", "twice", "deep", "large", "huge"],
)
def test_hostile_configurations(world: World, config: str, status: int) -> None:
    text = f'{{"connection_id": "{world.machine.pk}", "name": "a", "remote_path": "~", "config": '
    answer = world.operator.raw("/projects", (text + config + "}").encode())
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Project.objects.exists()


def test_a_name_is_one_of_a_kind_on_its_machine(world: World) -> None:
    first = factories.make_project(world.machine, name="mnist")
    refused = world.operator.post("/projects", body(world.machine))
    assert (refused.status_code, fields_of(refused)) == (409, {"name"})
    other = factories.make_project(world.machine, name="other")
    assert world.operator.patch(f"/projects/{other.pk}", {"name": "mnist"}).status_code == 409
    elsewhere = factories.make_connection(world.team)
    assert world.operator.post("/projects", body(elsewhere)).status_code == 201
    world.operator.delete(f"/projects/{first.pk}")
    assert world.operator.patch(f"/projects/{other.pk}", {"name": "mnist"}).status_code == 200
    assert world.operator.post(f"/projects/{first.pk}/restore").status_code == 409


def test_a_change_counts_and_tells_the_trail(world: World) -> None:
    row = factories.make_project(world.machine)
    answer = world.operator.patch(
        f"/projects/{row.pk}",
        {"status": "archived", "description": "two\r\nlines", "config": {"b": 1}},
    )
    assert answer.status_code == 200
    assert answer.json()["description"] == "two\nlines"
    assert answer.json()["revision"] == 2
    assert answer.headers["ETag"] == '"2"'
    assert AuditEvent.objects.get(action="project.change").detail == {
        "fields": ["description", "status", "config_text"]
    }
    assert (
        world.operator.patch(f"/projects/{row.pk}", {"status": "archived"}).json()["revision"] == 2
    )
    moved = world.operator.patch(
        f"/projects/{row.pk}", {"connection_id": str(factories.make_connection(world.team).pk)}
    )
    assert (moved.status_code, fields_of(moved)) == (422, {"connection_id"})


def test_what_changed_meanwhile_is_not_overwritten(world: World) -> None:
    row = factories.make_project(world.machine)
    path = f"/projects/{row.pk}"
    assert patch(world.operator, path, {"config": {"a": 1}}, '"1"').status_code == 200
    late = patch(world.admin, path, {"config": {"a": 2}}, '"1"')
    assert (late.status_code, late.json()["code"]) == (409, "changed_meanwhile")
    assert patch(world.admin, path, {"config": {"a": 2}}, '"7", "2"').status_code == 200
    assert patch(world.admin, path, {"config": {"a": 3}}, "*").status_code == 200
    assert world.viewer.get(path).json()["config"] == {"a": 3}


def test_a_change_while_the_machine_was_asked_is_noticed(
    world: World, machine: Connection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revision is looked at again under the row's lock."""
    row = factories.make_project(machine)
    (home / "new").mkdir()
    ask = folders.resolve

    def ask_slowly(*args: Any, **options: Any) -> str:
        world.admin.patch(f"/projects/{row.pk}", {"description": "faster"})
        return str(ask(*args, **options))

    monkeypatch.setattr(folders, "resolve", ask_slowly)
    late = patch(world.operator, f"/projects/{row.pk}", {"remote_path": "~/new"}, '"1"')
    assert late.status_code == 409
    row.refresh_from_db()
    assert (row.description, row.remote_path) == ("faster", "~/project")


def test_the_trash_gives_back_for_thirty_days(world: World) -> None:
    row = factories.make_project(world.machine)
    assert world.operator.delete(f"/projects/{row.pk}").status_code == 204
    assert world.viewer.get(f"/projects/{row.pk}").status_code == 404
    assert world.viewer.get("/projects").json()["count"] == 0
    assert world.viewer.post(f"/projects/{row.pk}/restore").status_code == 403
    assert world.operator.post(f"/projects/{row.pk}/restore").status_code == 200
    Project.objects.filter(pk=row.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert world.operator.post(f"/projects/{row.pk}/restore").status_code == 404


def test_a_delete_touches_no_file(world: World, machine: Connection, home: Path) -> None:
    (home / "mnist").mkdir()
    (home / "mnist" / "weights").write_text("kept")
    made = world.operator.post("/projects", body(machine)).json()
    world.operator.delete(f"/projects/{made['id']}")
    assert (home / "mnist" / "weights").read_text() == "kept"


def test_a_project_goes_and_comes_with_its_machine(world: World) -> None:
    row = factories.make_project(world.machine)
    world.admin.delete(f"/connections/{world.machine.pk}")
    assert world.viewer.get(f"/projects/{row.pk}").status_code == 404
    world.admin.post(f"/connections/{world.machine.pk}/restore")
    assert world.viewer.get(f"/projects/{row.pk}").status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["audio", "mnist"]),
        ({"status": "paused"}, ["audio"]),
        ({"project_type": "training"}, ["mnist"]),
        ({"q": "MNI"}, ["mnist"]),
        ({"q": "/data/"}, ["audio"]),
        ({"q": "%"}, []),
        ({"limit": 1, "offset": 1}, ["mnist"]),
    ],
)
def test_lists_are_narrowed(world: World, query: dict[str, Any], names: list[str]) -> None:
    factories.make_project(world.machine, name="mnist")
    factories.make_project(
        world.machine, name="audio", status="paused", project_type="x", remote_path="/data/audio"
    )
    factories.make_project(name="of another team")
    items = world.viewer.get("/projects", **query).json()["items"]
    assert [item["name"] for item in items] == names
    both = world.viewer.get("/projects", connection_id=str(world.machine.pk), **query).json()[
        "items"
    ]
    assert both == items


@pytest.mark.parametrize(
    "query", [{"status": "x"}, {"connection_id": "x"}, {"limit": 501}, {"q": "x" * 101}]
)
def test_bad_filters_are_refused(world: World, query: dict[str, Any]) -> None:
    assert world.viewer.get("/projects", **query).status_code == 422


def test_a_list_costs_the_same_however_long(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        factories.make_project(world.machine, created_by=world.owner)
    world.viewer.get("/projects")
    with django_assert_num_queries(4):  # the token, its use, the rows, their number
        assert world.viewer.get("/projects").json()["count"] == 30


def test_an_idempotent_post_makes_one(world: World) -> None:
    first, again = (
        world.operator.post("/projects", body(world.machine), **{"Idempotency-Key": "once"})
        for _ in range(2)
    )
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)
    assert Project.objects.count() == 1


def test_other_teams_see_nothing(world: World) -> None:
    row = factories.make_project(world.machine)
    assert world.stranger.get("/projects").json()["count"] == 0
    assert world.stranger.post("/projects", body(world.machine)).status_code == 404
    for answer in (
        world.stranger.get(f"/projects/{row.pk}"),
        world.stranger.patch(f"/projects/{row.pk}", {"name": "mine"}),
        world.stranger.delete(f"/projects/{row.pk}"),
        world.stranger.post(f"/projects/{row.pk}/check"),
    ):
        assert answer.status_code == 404
    assert world.viewer.post("/projects", body(world.machine)).status_code == 403
    assert not Project.objects.visible_to(Client().session).exists()


def test_what_is_above_counts_jobs_and_may_keep_a_project(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = factories.make_project(world.machine)
    with attached.on_count.only():
        assert attached.job_counts([row.pk]) is None
    other = factories.make_project(world.machine)
    with attached.on_count.only(lambda ids: {row.pk: 3}):
        assert attached.job_counts([row.pk, other.pk]) == {row.pk: 3, other.pk: 0}

    def keep(project: Project) -> None:
        raise Conflict("A job runs in it.")

    with attached.before_delete.only(keep):
        assert world.operator.delete(f"/projects/{row.pk}").status_code == 409
    row.refresh_from_db()
    assert row.deleted_at is None


def test_folder_of_says_no_as_the_machine_does(machine: Connection) -> None:
    row = factories.make_project(machine, remote_path="~/gone")
    with pytest.raises(Invalid, match="is not on the machine"):
        services.folder_of(row)


@pytest.fixture
def used_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator has asked as often as one may, at 46 s of a minute that stands still."""
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=lambda: 1_800_000_046.0))
    for _ in range(projects_inputs.LOOKUPS_PER_MINUTE):
        rate_limits.allow(Caller(world.owner), "folders.look", projects_inputs.LOOKUPS_PER_MINUTE)


@pytest.mark.usefixtures("used_up")
def test_folders_are_looked_up_only_so_often(world: World, machine: Connection, home: Path) -> None:
    (home / "mnist").mkdir()
    row = factories.make_project(machine, remote_path="~/mnist")
    path = f"/projects/{row.pk}/check"
    refused = world.admin.post(path)
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_requests"
    assert refused.headers["Retry-After"] == "14"
    row.refresh_from_db()
    assert (row.resolved_path, row.path_note) == ("", "")
    body = {"connection_id": str(machine.pk), "name": "n", "remote_path": "~/mnist"}
    assert world.admin.post("/projects", body).status_code == 429
    # Somebody else is not held up, and what asks no machine is not counted.
    assert world.operator.post(path).json()["resolved_path"] == str(home / "mnist")
    assert world.admin.patch(f"/projects/{row.pk}", {"description": "x"}).status_code == 200


@pytest.mark.usefixtures("used_up")
def test_a_page_says_when_to_come_again(world: World, machine: Connection) -> None:
    row = factories.make_project(machine)
    client = Client()
    client.force_login(world.owner)
    page = client.post(f"/projects/{row.pk}/check")
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "14"
    assert "try again in 14 s" in page.content.decode()
