"""A range as SQLite on a disk that is full: a sentence with a status, and nothing is left."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from exports import copying, storage
from tests.exports.conftest import Lab
from tests.mounts import small_disk


@pytest.fixture
def tiny(settings: Any, tmp_path: Path) -> Any:
    with small_disk(tmp_path / "data", "64k") as disk:
        settings.DATA_DIR = disk
        yield disk


def _fetch(lab: Lab, format_: str) -> Any:
    bearer = {"Authorization": f"Bearer {lab.tokens['viewer']}"}
    path = f"/api/v1/connections/{lab.machine.pk}/metrics/export?range=24h&format={format_}"
    return Client(headers=bearer, raise_request_exception=False).get(path)


def _check_refused(answer: Any, disk: Path) -> None:
    assert (answer.status_code, answer.json()["code"]) == (507, "insufficient_storage")
    assert "disk of the site is" in answer.json()["detail"]
    assert [one for one in disk.rglob("*") if not one.is_dir()] == []
    assert not list(disk.rglob(f"{storage.SCRATCH}*"))


def test_a_disk_without_room_is_told_before_anything_is_built(lab: Lab, tiny: Path) -> None:
    _check_refused(_fetch(lab, "sqlite"), tiny)


def test_a_disk_that_fills_up_meanwhile_is_told_as_well(
    lab: Lab, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "RESERVE_BYTES", 0)
    (tiny / "exports").mkdir()
    filler = tiny / "filler"
    filler.write_bytes(b"x" * 57_344)
    for _ in range(copying.COPIES.per_person + 1):  # no place is lost either
        answer = _fetch(lab, "sqlite")
        assert answer.status_code == 507, answer
    filler.unlink()
    _check_refused_nothing(tiny)


def _check_refused_nothing(disk: Path) -> None:
    assert [one for one in disk.rglob("*") if not one.is_dir()] == []


def test_other_formats_need_no_disk(lab: Lab, tiny: Path) -> None:
    for format_ in ("csv", "json", "parquet"):
        assert _fetch(lab, format_).status_code == 200
