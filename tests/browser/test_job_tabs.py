"""A job's files and container, a machine's queue and wishes, in a browser, over a real sshd."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import Settings

from connections.models import Connection
from jobs.models import GpuWish, Job, MachineQueue, Status
from tests import factories, sshd
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view
from tests.jobs.rows import make_job
from tests.jobs.test_container import RUNNING, answer

Visit = Callable[..., Visitor]

_SCRIPT_LIMIT, _STYLE_LIMIT = 30 * 1024, 15 * 1024


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    (path / "mnist" / "data" / "raw").mkdir(parents=True)
    (path / "mnist" / "train.py").write_text("print('<b>hello</b>')\n" * 40)
    (path / "mnist" / "a-name-that-goes-on-and-on-and-on-and-on-and-on-and-on.txt").write_text("x")
    (path / "mnist" / ".env").write_text("x")
    (path / "mnist" / "out").symlink_to("/etc")
    (path / "mnist" / "model.safetensors").write_bytes(b"\x00" * 3_000_000)
    return path


@pytest.fixture
def machine(tmp_path: Path, home: Path, fleet: Fleet, settings: Settings) -> Iterator[Connection]:
    """A machine of the fleet with two GPUs, files and a docker."""
    settings.ALLOW_LOOPBACK = True
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "docker").write_text(f"#!/bin/sh\ncat {tools}/says\n")
    (tools / "docker").chmod(0o755)
    answer(tools, RUNNING)
    server = sshd.start(
        tmp_path / "sshd",
        environment={"PATH": f"{tools}:/usr/bin:/bin"},
        options={"Subsystem": f"sftp internal-sftp -d {home}"},
    )
    row = fleet.add("Spark 1", hostname="127.0.0.1", port=server.port, username=server.user)
    row.host_key, row.auth_method = server.host_key_fingerprint, "key"
    row.set_secret("private_key", server.client_key)
    row.save()
    fleet.record(row, scenes.server())
    yield row
    server.stop()


@pytest.fixture
def job(machine: Connection, home: Path) -> Job:
    """A container that runs in the folder."""
    project = factories.make_project(
        machine, name="mnist", resolved_path=str(home / "mnist"), remote_path="~/mnist"
    )
    row = make_job(project, name="run-7", kind="container", image="pytorch/pytorch:2.9", gpus=1)
    row.command = "python train.py"
    row.save()
    row.move(Status.STARTING, "keeper", granted=["1"])
    row.move(Status.RUNNING, "keeper", started_at=timezone.now(), container_id="4f" * 32)
    return row


def test_walking_through_the_files(visit: Visit, job: Job, home: Path) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/")
    page.get_by_role("link", name="Files", exact=True).click()
    expect(page.get_by_role("row")).to_have_count(6)
    page.get_by_role("link", name="Show 1 hidden").click()
    expect(page.get_by_role("link", name=".env")).to_be_visible()
    page.get_by_role("link", name="Size").click()
    page.get_by_role("link", name="Size").click()
    expect(page.get_by_role("rowheader").nth(1)).to_contain_text("model.safetensors")
    page.get_by_role("link", name="train.py").click()
    expect(page.get_by_label("Text of the file")).to_contain_text("print('<b>hello</b>')")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == (home / "mnist/train.py").read_bytes()
    page.get_by_role("link", name="Project", exact=True).last.click()
    page.get_by_role("link", name="out", exact=True).click()
    expect(page.get_by_text("leads out of this folder, to /etc")).to_be_visible()


def test_the_container_is_asked_by_itself(visit: Visit, job: Job) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=container")
    expect(page.get_by_text("0.0.0.0:80 → 8080/tcp")).to_be_visible()
    expect(page.get_by_role("heading", name="Exact command")).to_be_visible()


def test_everything_works_without_java_script(visit: Visit, job: Job, machine: Connection) -> None:
    visitor = visit(java_script=False)
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/?tab=container")
    page.get_by_role("link", name="Ask docker").click()
    expect(page.get_by_text("0.0.0.0:80 → 8080/tcp")).to_be_visible()
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("link", name="data", exact=True).click()
    expect(page.get_by_role("link", name="raw")).to_be_visible()
    visitor.open(f"/machines/{machine.pk}/?tab=metrics")
    page.get_by_role("button", name="Tell me when GPU 1 is free").click()
    expect(page.get_by_text("You will be told once when GPU 1 is free.")).to_be_visible()
    assert GpuWish.objects.get().gpu == 1
    page.get_by_role("button", name="Do not tell me when GPU 1 is free").click()
    expect(page.get_by_role("button", name="Do not tell me")).to_have_count(0)
    visitor.open(f"/machines/{machine.pk}/jobs")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.get_by_text("Paused by boss")).to_be_visible()
    page.get_by_text("Change the rules").click()
    page.get_by_label("Free for (seconds)").fill("400")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_text("less than or equal to 300")).to_be_visible()
    page.get_by_label("Free for (seconds)").fill("30")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_text("for 30 s")).to_be_visible()
    assert MachineQueue.objects.get(pk=machine.pk).is_paused
    visitor.forgive("422")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("person", ["boss", "guest"])
def test_the_tabs_are_accessible_narrow_and_light(
    visit: Visit, job: Job, machine: Connection, width: int, person: str
) -> None:
    MachineQueue.objects.filter(pk=machine.pk).update(is_paused=True, paused_at=timezone.now())
    waits = make_job(job.project, gpus=[1], waiting_reason="GPU 1 is held by run-7")
    visitor = visit(width)
    visitor.enter(person)
    found: dict[str, object] = {}
    for path in (
        f"/jobs/{job.pk}/?tab=files",
        f"/jobs/{job.pk}/?tab=files&path=train.py",
        f"/jobs/{job.pk}/?tab=files&path=out",
        f"/jobs/{job.pk}/?tab=container&ask=1",
        f"/jobs/{waits.pk}/",
        f"/machines/{machine.pk}/jobs",
        f"/machines/{machine.pk}/?tab=metrics",
    ):
        page = visitor.open(path)
        if path.endswith("/jobs") and person == "boss":
            page.get_by_text("Change the rules").click()
        check(page, path, width, found)
        if width == 1280 and "metrics" not in path:
            sizes, count = first_view(visitor, path)
            if sizes.get("Script", 0) > _SCRIPT_LIMIT or sizes["Stylesheet"] > _STYLE_LIMIT:
                found[f"{path} size"] = sizes
            assert count <= 15, (path, count)
    assert found == {}
