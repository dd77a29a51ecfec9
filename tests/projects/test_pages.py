"""The pages about projects, without a browser: who sees what, and what a post brings."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Role
from connections.models import Connection
from projects import differences
from projects.models import Project, Status
from tests import factories, sshd
from tests.markup import flat
from tests.pages.people import People, client_of, make_people

HTMX = {"HX-Request": "true"}


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
    return factories.make_project(machine, name="mnist", config_text='{\n  "a": 1\n}')


def text(answer: Any) -> str:
    return str(answer.content.decode())


def post_config(client: Client, project: Project, written: str, **fields: Any) -> Any:
    data = {"config_text": written, "schema_text": "", "revision": "1"} | fields
    return client.post(f"/projects/{project.pk}/config", data, headers=HTMX)


def test_the_list_shows_cards_or_a_table(people: People, project: Project) -> None:
    for query in ("", "?view=table"):
        page = text(people.guest.get(f"/projects/{query}"))
        assert "mnist" in page
        assert "Spark 1" in page
        assert "not checked" in page
    assert "mnist" not in text(people.stranger.get("/projects/"))
    tab = text(people.guest.get(f"/machines/{project.connection_id}/projects"))
    assert "Projects on Spark 1" in tab
    assert people.stranger.get(f"/machines/{project.connection_id}/projects").status_code == 404


@pytest.mark.parametrize("query", ["", "?view=table"])
def test_a_list_costs_the_same_however_long(
    people: People,
    project: Project,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    django_assert_num_queries: DjangoAssertNumQueries,
    query: str,
) -> None:
    people.guest.get(f"/projects/{query}")
    with django_assert_max_num_queries(20) as one:
        people.guest.get(f"/projects/{query}")
    for _ in range(30):
        factories.make_project(project.connection)
    with django_assert_num_queries(len(one)):
        page = text(people.guest.get(f"/projects/{query}"))
    assert "Page 1 of 2" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?status=paused", {"audio"}),
        ("?q=mnist", {"mnist"}),
        ("?sort=name&dir=desc", {"mnist", "audio"}),
        ("?status=nonsense&sort=nonsense&page=99", {"mnist", "audio"}),
        ("?q=%00nothing", set()),
    ],
)
def test_the_address_chooses(people: People, project: Project, query: str, shown: set[str]) -> None:
    factories.make_project(project.connection, name="audio", status=Status.PAUSED)
    page = people.guest.get(f"/projects/{query}")
    assert {row.name for row, _ in page.context["lines"]} == shown
    assert ("No project fits" in text(page)) == (not shown)


def test_an_empty_list_has_one_action(people: People, operator: Client) -> None:
    assert "To the machines" in text(people.boss.get("/projects/"))
    factories.make_connection(people.team)
    assert text(operator.get("/projects/")).count('href="/projects/add"') == 1
    assert "needs operator" in text(people.guest.get("/projects/"))


def test_a_viewer_sees_why_controls_are_off(people: People, project: Project) -> None:
    for tab in ("", "?tab=config"):
        page = text(people.guest.get(f"/projects/{project.pk}/{tab}"))
        assert "needs operator" in page
        assert f"/projects/{project.pk}/delete" not in page
    assert "readonly" in text(people.guest.get(f"/projects/{project.pk}/?tab=config"))
    for path in ("/projects/add", f"/projects/{project.pk}/edit"):
        assert people.guest.get(path).status_code == 403


def test_a_project_is_made_with_the_form(
    people: People, operator: Client, tmp_path: Path, settings: Settings
) -> None:
    settings.ALLOW_LOOPBACK = True
    home = tmp_path / "home"
    home.mkdir()
    server = sshd.start(tmp_path / "sshd", options={"Subsystem": f"sftp internal-sftp -d {home}"})
    machine = _reached_at(server, factories.make_connection(people.team))
    data = {
        "connection_id": str(machine.pk),
        "name": "mnist",
        "remote_path": "~/mnist",
        "project_type": "training",
    }
    try:
        refused = operator.post("/projects/add", data, headers=HTMX)
        assert refused.status_code == 422
        assert "Tick “Make the folder” to have it made." in text(refused)
        made = operator.post("/projects/add", data | {"create_directory": "on"})
    finally:
        server.stop()
    row = Project.objects.get()
    assert made.headers["Location"] == f"/projects/{row.pk}/"
    assert row.resolved_path == str(home / "mnist")


def test_the_form_names_its_errors_and_offers_no_other_teams_machine(
    people: People, operator: Client, project: Project
) -> None:
    foreign = factories.make_connection()
    data = {"connection_id": str(foreign.pk), "name": "x", "remote_path": "../up"}
    refused = operator.post("/projects/add", data | {"project_type": "training"}, headers=HTMX)
    assert refused.status_code == 422
    assert "Select a valid choice" in text(refused)
    data["connection_id"] = str(project.connection_id)
    refused = operator.post("/projects/add", data | {"project_type": "training"}, headers=HTMX)
    assert "A folder has no “..”" in text(refused)
    assert Project.objects.count() == 1


def test_an_edit_after_somebody_elses_shows_both(operator: Client, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(revision=2, description="theirs")
    data = {
        "connection_id": str(project.connection_id),
        "name": "mnist",
        "remote_path": "~/project",
        "project_type": "training",
        "description": "mine",
        "revision": "1",
    }
    late = operator.post(f"/projects/{project.pk}/edit", data, headers=HTMX)
    assert late.status_code == 409
    assert "theirs" in text(late)
    assert "mine" in text(late)
    assert 'name="revision" value="2"' in flat(text(late))
    operator.post(f"/projects/{project.pk}/edit", data | {"revision": "2"})
    project.refresh_from_db()
    assert project.description == "mine"


def test_the_editor_shows_what_changes_and_saves_on_the_second_step(
    operator: Client, project: Project
) -> None:
    page = post_config(operator, project, '{\r\n  "a": 2\r\n}')
    assert page.status_code == 200
    assert "−   &quot;a&quot;: 1" in text(page)
    assert "+   &quot;a&quot;: 2" in text(page)
    project.refresh_from_db()
    assert project.config == {"a": 1}
    saved = post_config(operator, project, '{\r\n  "a": 2\r\n}', step="save")
    assert saved.headers["HX-Redirect"] == f"/projects/{project.pk}/?tab=config"
    project.refresh_from_db()
    assert project.config_text == '{\n  "a": 2\n}'
    assert "Nothing has changed" in text(
        post_config(operator, project, '{\n  "a": 2\n}', revision="2")
    )


def test_the_editor_links_mistakes_to_lines(operator: Client, project: Project) -> None:
    page = post_config(operator, project, '{\n\n"a": NaN,\n"a": 1}')
    assert page.status_code == 422
    assert 'data-line="3"' in text(page)
    assert 'data-line="4"' in text(page)
    page = post_config(operator, project, "{}", schema_text='{\n"required": ["b"]}', step="save")
    assert "&#x27;b&#x27; is a required property" in text(page)
    project.refresh_from_db()
    assert (project.config, project.schema_text) == ({"a": 1}, "")


@pytest.mark.parametrize("step", ["review", "save"])
def test_the_editor_keeps_both_when_somebody_was_faster(
    operator: Client, project: Project, step: str
) -> None:
    theirs = '{\n  "a": 3\n}'
    Project.objects.filter(pk=project.pk).update(revision=2, config_text=theirs)
    late = post_config(operator, project, '{\n  "a": 2\n}', step=step)
    assert late.status_code == 409
    assert "Changed meanwhile" in text(late)
    assert "−   &quot;a&quot;: 3" in text(late)
    assert 'name="revision" value="2"' in flat(text(late))
    project.refresh_from_db()
    assert project.config_text == theirs
    post_config(operator, project, '{\n  "a": 2\n}', step="save", revision="2")
    project.refresh_from_db()
    assert project.config == {"a": 2}


def test_the_editor_works_without_javascript(operator: Client, project: Project) -> None:
    data = {"config_text": '{"a": }', "schema_text": "", "revision": "1"}
    page = operator.post(f"/projects/{project.pk}/config", data)
    assert page.status_code == 422
    assert "{&quot;a&quot;: }" in text(page)
    saved = operator.post(
        f"/projects/{project.pk}/config", data | {"config_text": "", "step": "save"}
    )
    assert saved.status_code == 302
    project.refresh_from_db()
    assert project.config_text == "{}"


def test_a_text_that_closes_the_textarea_stays_text(operator: Client, project: Project) -> None:
    hostile = '{"a": "</textarea><script>alert(1)</script>"}'
    page = text(post_config(operator, project, hostile))
    assert "<script>alert" not in page
    post_config(operator, project, hostile, step="save")
    assert "<script>alert" not in text(operator.get(f"/projects/{project.pk}/?tab=config"))


def test_pause_archive_and_back(operator: Client, project: Project) -> None:
    for status in ("paused", "archived", "active"):
        page = operator.post(f"/projects/{project.pk}/status", {"status": status}, follow=True)
        assert f"mnist is {status} now." in text(page)
    page = operator.post(f"/projects/{project.pk}/status", {"status": "gone"}, follow=True)
    assert "There is no such status." in text(page)


def test_delete_offers_undo_and_the_trash_gives_back(
    people: People, operator: Client, project: Project
) -> None:
    page = operator.post(f"/projects/{project.pk}/delete", follow=True)
    assert "mnist was moved to the trash; its files stay on the machine." in text(page)
    assert "mnist" in text(operator.get("/projects/trash"))
    assert "mnist" not in text(people.guest.get("/projects/trash"))
    assert "is back" in text(operator.post(f"/projects/{project.pk}/restore", follow=True))
    old = timezone.now() - timedelta(days=31)
    Project.objects.filter(pk=project.pk).update(deleted_at=old)
    assert "No deleted projects" in text(operator.get("/projects/trash"))


def test_a_name_that_is_taken_again_keeps_the_other_in_the_trash(
    operator: Client, project: Project
) -> None:
    operator.post(f"/projects/{project.pk}/delete")
    factories.make_project(project.connection, name="mnist")
    page = operator.post(f"/projects/{project.pk}/restore", follow=True)
    assert "already has a project of this name" in text(page)


def test_the_folder_is_checked_again(operator: Client, project: Project) -> None:
    page = operator.post(f"/projects/{project.pk}/check", follow=True)
    assert "Not checked yet." in text(page)


def test_the_palette_finds_projects(people: People, project: Project) -> None:
    items = people.guest.get("/palette").json()["items"]
    assert [item["href"] for item in items if item["kind"] == "project"] == [
        f"/projects/{project.pk}/"
    ]
    labels = {item["label"] for item in items}
    assert "Projects" in labels
    assert "New project" not in labels
    assert "New project" in {item["label"] for item in people.boss.get("/palette").json()["items"]}


def test_staff_manage_projects_in_the_administration(people: People, project: Project) -> None:
    staff = client_of(factories.make_user(is_superuser=True, is_staff=True))
    address = f"/admin/projects/project/{project.pk}/change/"
    data = {
        "connection": str(project.connection_id),
        "name": "renamed",
        "description": "",
        "project_type": "training",
        "remote_path": "~/project",
        "status": "paused",
        "config_text": '{"a": NaN}',
        "schema_text": "",
    }
    assert "NaN is not JSON" in text(staff.post(address, data))
    assert staff.post(address, data | {"config_text": "{}"}).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.status, project.config, project.revision) == (
        "renamed",
        "paused",
        {},
        2,
    )
    moved = {"action": "move_to_trash", "_selected_action": [str(project.pk)]}
    staff.post("/admin/projects/project/", moved)
    project.refresh_from_db()
    assert project.deleted_at is not None


def test_differences_stay_quick_and_right() -> None:
    assert differences.between("a\nb", "a\nb") == []
    found = differences.between("a\nb\nc\nd\ne\nf\ng", "a\nb\nc\nd\ne\nX\ng")
    assert [(line.kind, line.text) for line in found] == [
        ("skipped", ""),
        ("same", "d"),
        ("same", "e"),
        ("removed", "f"),
        ("added", "X"),
        ("same", "g"),
    ]
    many = [str(number) for number in range(50_000)]
    changed = [*many[:40_000], "new", *many[40_001:]]
    found = differences.between("\n".join(many), "\n".join(changed))
    assert [tuple(line) for line in found] == [("removed", "40000"), ("added", "new")]


def _reached_at(server: sshd.Sshd, row: Connection) -> Connection:
    row.hostname, row.port, row.username = "127.0.0.1", server.port, server.user
    row.host_key, row.auth_method = server.host_key_fingerprint, "key"
    row.set_secret("private_key", server.client_key)
    row.save()
    return row
