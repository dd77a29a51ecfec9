"""Projects in a browser: made, edited with the keyboard, deleted and taken back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from connections.models import Connection, Status
from projects.models import Project
from projects.models import Status as ProjectStatus
from tests import factories, sshd
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view

Visit = Callable[..., Visitor]

CONFIG = '{\n  "epochs": 3,\n  "optimizer": {\n    "name": "adamw",\n    "lr": 0.001\n  }\n}'
_SCRIPT_LIMIT, _STYLE_LIMIT = 30 * 1024, 15 * 1024


@pytest.fixture
def machine(fleet: Fleet, tmp_path: Path, settings: Settings) -> Iterator[Connection]:
    """A machine of the team that is a real OpenSSH server."""
    settings.ALLOW_LOOPBACK = True
    home = tmp_path / "home"
    home.mkdir()
    server = sshd.start(tmp_path / "sshd", options={"Subsystem": f"sftp internal-sftp -d {home}"})
    row = fleet.add(
        "Spark 1",
        hostname="127.0.0.1",
        port=server.port,
        username=server.user,
        host_key=server.host_key_fingerprint,
    )
    row.set_secret("private_key", server.client_key)
    row.save()
    yield row
    server.stop()


def test_a_project_from_nothing_to_the_trash_and_back(
    visit: Visit, machine: Connection, tmp_path: Path
) -> None:
    visitor = visit()
    page = visitor.enter("boss").open("/")
    page.get_by_role("link", name="Projects", exact=True).click()
    expect(page.get_by_text("No projects yet")).to_be_visible()
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name").fill("mnist")
    page.get_by_label("Folder on the machine").fill("~/mnist")
    page.get_by_role("button", name="Make project").click()
    expect(page.locator("#remote_path-error")).to_contain_text("Tick “Make the folder”")
    expect(page.get_by_label("Folder on the machine")).to_be_focused()
    page.get_by_label("Make the folder if it is not there").check()
    page.get_by_role("button", name="Make project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mnist")
    expect(page.get_by_text(f"{tmp_path}/home/mnist").first).to_be_visible()
    assert (tmp_path / "home" / "mnist").is_dir()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mnist")
    expect(page.get_by_text("mnist is back.")).to_be_visible()
    visitor.forgive("422")


def test_the_editor_by_keyboard(visit: Visit, fleet: Fleet) -> None:
    row = factories.make_project(fleet.add("Spark 1"), name="mnist", config_text=CONFIG)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/projects/{row.pk}/?tab=config")
    editor = page.get_by_role("textbox", name="Configuration")
    expect(page.locator(".line-numbers").first).to_have_text("\n".join("1234567"))
    editor.fill(CONFIG.replace("0.001", "NaN,"))
    page.keyboard.press("Control+s")
    link = page.get_by_role("link", name="Line 6")
    expect(link).to_be_visible()
    page.get_by_role("link", name="Line 5").click()
    expect(editor).to_be_focused()
    assert page.evaluate("getSelection().toString()").strip() == '"lr": NaN,'
    editor.fill(CONFIG.replace("0.001", "0.01"))
    page.keyboard.press("Control+s")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_focused()
    expect(page.locator(".difference[data-kind=added]")).to_contain_text('"lr": 0.01')
    page.keyboard.press("Control+s")
    expect(page.get_by_text("The configuration is saved.")).to_be_visible()
    row.refresh_from_db()
    assert row.config["optimizer"]["lr"] == 0.01
    visitor.forgive("422")


def test_typing_after_the_review_asks_for_another(visit: Visit, fleet: Fleet) -> None:
    row = factories.make_project(fleet.add("Spark 1"), config_text=CONFIG)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/projects/{row.pk}/?tab=config")
    editor = page.get_by_role("textbox", name="Configuration")
    editor.fill('{"a": 1}')
    page.get_by_role("button", name="Show what changes").click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    editor.press_sequentially(" ")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)


def test_two_people_edit_and_neither_is_lost(visit: Visit, fleet: Fleet) -> None:
    row = factories.make_project(fleet.add("Spark 1"), config_text=CONFIG)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/projects/{row.pk}/?tab=config")
    Project.objects.filter(pk=row.pk).update(config_text='{"theirs": 1}', revision=2)
    page.get_by_role("textbox", name="Configuration").fill('{"mine": 1}')
    page.keyboard.press("Control+s")
    expect(page.get_by_role("heading", name="Changed meanwhile")).to_be_visible()
    expect(page.locator(".difference[data-kind=removed]")).to_contain_text('{"theirs": 1}')
    expect(page.locator(".difference[data-kind=added]")).to_contain_text('{"mine": 1}')
    page.get_by_role("button", name="Save mine over theirs").click()
    expect(page.get_by_text("The configuration is saved.")).to_be_visible()
    row.refresh_from_db()
    assert row.config == {"mine": 1}
    visitor.forgive("409")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("person", ["boss", "guest"])
def test_pages_are_accessible_narrow_and_light(
    visit: Visit, fleet: Fleet, width: int, person: str
) -> None:
    paths = furnish(fleet)
    visitor = visit(width)
    visitor.enter(person)
    found: dict[str, object] = {}
    for path in paths:
        if person == "guest" and path.endswith(("/add", "/edit")):
            continue
        check(visitor.open(path), path, width, found)
        if width == 1280 and person == "boss":
            sizes, count = first_view(visitor, path)
            if sizes.get("Script", 0) > _SCRIPT_LIMIT or sizes.get("Stylesheet", 0) > _STYLE_LIMIT:
                found[path] = sizes
            assert count <= 15, (path, count)
    assert found == {}


def test_a_review_is_accessible_too(visit: Visit, fleet: Fleet) -> None:
    row = factories.make_project(fleet.add("Spark 1"), config_text=CONFIG)
    visitor = visit()
    visitor.enter("boss")
    found: dict[str, object] = {}
    for written in ('{"a": NaN}', '{"a": 1}'):
        page = visitor.open(f"/projects/{row.pk}/?tab=config")
        page.get_by_role("textbox", name="Configuration").fill(written)
        page.keyboard.press("Control+s")
        expect(page.locator("#config-outcome h2")).to_be_visible()
        check(page, written, 1280, found)
    visitor.forgive("422")
    assert found == {}


def furnish(fleet: Fleet) -> list[str]:
    """Projects of each status and with hostile names; the addresses of all pages about them."""
    spark = fleet.add("Spark 1")
    off = fleet.add("Server with a name that is much longer than what fits", status=Status.ERROR)
    row = factories.make_project(
        spark,
        name="mnist-baseline",
        description="The smallest run that shows a loss curve.\nStart here.",
        resolved_path="/home/ml/projects/mnist",
        config_text=CONFIG,
        schema_text='{"type": "object"}',
    )
    factories.make_project(
        off,
        name="<img src=x onerror=alert(1)> and a name that goes on and on",
        remote_path="~/a/folder/with/a/very/long/path/that/does/not/fit/on/any/card/at/all",
        description="<script>alert(1)</script> " * 10,
        status=ProjectStatus.PAUSED,
    )
    factories.make_project(spark, name="old", status=ProjectStatus.ARCHIVED)
    for number in range(30):
        factories.make_project(
            spark, name=f"run-{number:02}", resolved_path=f"/data/run-{number:02}"
        )
    gone = factories.make_project(spark, name="gone")
    Project.objects.filter(pk=gone.pk).update(deleted_at=gone.created_at)
    return [
        "/projects/",
        "/projects/?view=table&sort=activity&dir=desc",
        "/projects/?q=nothing-fits",
        f"/projects/?deleted={gone.pk}",
        f"/machines/{spark.pk}/projects",
        f"/machines/{off.pk}/projects?view=table",
        f"/projects/{row.pk}/",
        f"/projects/{row.pk}/?tab=config",
        "/projects/trash",
        "/projects/add",
        f"/projects/{row.pk}/edit",
    ]
