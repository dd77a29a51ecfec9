"""Exports in a real browser, with a real machine: both badges, full disks, a download, the list."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from connections.models import Connection
from exports.models import Export, State
from metrics.history.tiers import RAW
from tests.browser import scenes
from tests.browser.conftest import Fleet, Visitor
from tests.exports import rows
from tests.exports.files import make_export, make_schedule
from tests.exports.machines import serving
from tests.mounts import small_disk

Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "site"
    settings.ALLOW_LOOPBACK = True


@pytest.fixture
def spark(fleet: Fleet) -> Connection:
    machine = fleet.add("spark")
    fleet.record(machine, *(scenes.spark(step) for step in range(3)))
    rows.insert(
        machine, RAW, rows.made_up(rows.every(timedelta(seconds=20), 30, datetime.now(UTC)))
    )
    return machine


def open_history(visit: Visit, machine: Connection, width: int = 1280) -> tuple[Visitor, Page]:
    visitor = visit(width)
    visitor.enter("boss")
    page = visitor.open(f"/machines/{machine.pk}/?tab=metrics&range=24h")
    return visitor, page


def test_both_sides(visit: Visit, spark: Connection, tmp_path: Path) -> None:
    with serving(tmp_path / "machine", spark) as home:
        _, page = open_history(visit, spark)
        page.get_by_role("button", name="Export metrics").click()
        badges = page.locator("#export-bar [data-part=badges]")
        expect(badges).to_contain_text("Local ✓")
        expect(badges).to_contain_text("DGX ✓")
        expect(badges).to_be_hidden(timeout=8_000)
        assert len(list((home / "projects/exports").iterdir())) == 1


def test_the_machines_disk_is_full(visit: Visit, spark: Connection, tmp_path: Path) -> None:
    with serving(tmp_path / "machine", spark) as home, small_disk(home / "projects", "8k") as disk:
        (disk / "filler").write_bytes(b"x" * 4096)
        visitor, page = open_history(visit, spark)
        page.get_by_role("button", name="Export metrics").click()
        badges = page.locator("#export-bar [data-part=badges]")
        expect(badges).to_contain_text("Local ✓")
        expect(badges).to_contain_text("DGX ✗")
        expect(page.locator("#alerts")).to_contain_text("The disk of the machine is full")
        assert [path.name for path in disk.rglob("*") if path.is_file()] == ["filler"]
        visitor.open("/exports/")
        row = page.locator("tbody tr").first
        expect(row).to_contain_text("DGX: The disk of the machine is full")
        expect(row.get_by_role("link", name="Download")).to_be_visible()


def test_the_sites_disk_is_full(visit: Visit, spark: Connection, tmp_path: Path) -> None:
    with serving(tmp_path / "machine", spark) as home, small_disk(tmp_path / "site", "64k") as disk:
        _, page = open_history(visit, spark)
        page.get_by_role("button", name="Export metrics").click()
        badges = page.locator("#export-bar [data-part=badges]")
        expect(badges).to_contain_text("Local ✗")
        expect(badges).to_contain_text("DGX ✓")
        expect(page.locator("#alerts")).to_contain_text("The disk of the site is nearly full")
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        assert len(list((home / "projects/exports").iterdir())) == 1


def test_the_shown_range_as_a_file(visit: Visit, spark: Connection, tmp_path: Path) -> None:
    _, page = open_history(visit, spark)
    page.locator("#export-bar").scroll_into_view_if_needed()
    page.screenshot(path=str(tmp_path / "bar.png"))
    bar = page.locator("#export-bar")
    bar.locator("summary").click()
    page.locator("h1").click()
    expect(bar.get_by_role("link", name="CSV")).to_be_hidden()
    bar.locator("summary").click()
    with page.expect_download() as download:
        bar.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith(f"{spark.pk}-metrics-24h-")
    with Path(download.value.path()).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 30
    expect(bar.locator("[data-v=label]")).to_have_text("Export")


def test_a_download_that_fails_says_why(visit: Visit, spark: Connection) -> None:
    visitor, page = open_history(visit, spark)
    page.route("**/metrics/export?*", lambda route: route.abort())
    bar = page.locator("#export-bar")
    bar.locator("summary").click()
    expect(bar).to_have_attribute("data-ready", "")
    bar.get_by_role("link", name="JSON").click()
    expect(page.locator("#alerts .toast")).to_be_visible()
    expect(bar.locator("[data-v=label]")).to_have_text("Export")
    visitor.forgive("ERR_FAILED")


@pytest.mark.parametrize("width", [1280, 360])
def test_pages_are_readable_by_all(visit: Visit, fleet: Fleet, width: int, tmp_path: Path) -> None:
    machine = fleet.add("a machine with a rather long name of its own")
    make_export(machine, local_sha256="ab" * 32, remote_sha256="ab" * 32)
    make_export(machine, remote_ok=False, remote_error="The disk of the machine is full: 0 KiB.")
    make_export(machine, state=State.RUNNING, local_ok=None, bytes_total=100, bytes_done=40)
    make_export(machine, deleted_at=machine.created_at)
    make_schedule(machine)
    visitor = visit(width)
    page = visitor.enter("boss").page
    for show in ("files", "schedules", "trash"):
        visitor.open(f"/exports/?show={show}")
        page.screenshot(path=str(tmp_path / f"{show}-{width}.png"), full_page=True)
        report = Axe().run(page)
        assert report.violations_count == 0, report.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_one_in_progress_moves_and_ends_by_itself(visit: Visit, fleet: Fleet) -> None:
    machine = fleet.add("spark")
    export = make_export(machine, state=State.RUNNING, local_ok=None, bytes_total=100)
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/exports/")
    expect(page.get_by_role("progressbar")).to_be_visible()
    Export.objects.filter(pk=export.pk).update(state=State.DONE, local_ok=True)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Download")).to_be_visible()
