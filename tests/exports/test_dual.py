"""The dual export: one file here and on the machine, over a real sshd; one side never stops the
other.
"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import override_settings

from accounts.models import AuditEvent
from connections.models import Connection
from exports import queue, storage, writer
from exports.models import Export, State
from metrics.collectors.readings import Network
from metrics.history.tiers import RAW
from metrics.live.store import Recorder
from tests.api.client import fields_of
from tests.exports import rows
from tests.exports.conftest import Lab
from tests.exports.machines import serving
from tests.exports.readers import READERS
from tests.metrics.machines import make_sample
from tests.mounts import small_disk

NAME = re.compile(r"dgx-metrics-[0-9a-f-]{36}-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z\.json")


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True


def export(lab: Lab, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    answer = lab.api().post(f"/connections/{lab.machine.pk}/exports", body or {}, **headers)
    assert answer.status_code == 201, answer.content
    told: dict[str, Any] = answer.json()
    return told


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_same_file_on_both_sides(lab: Lab, tmp_path: Path, data_directory: Path) -> None:
    with serving(tmp_path / "machine", lab.machine) as home:
        told = export(lab)
        assert NAME.fullmatch(told["filename"])
        here = data_directory / "exports/dgx-metrics" / told["filename"]
        there = home / "projects/exports" / told["filename"]
        assert files_of(data_directory / "exports") == [here]
        assert files_of(home) == [there]
        assert here.read_bytes() == there.read_bytes()
        digest = hashlib.sha256(here.read_bytes()).hexdigest()
    size = here.stat().st_size
    assert told["local"] == {
        "ok": True, "path": str(here), "bytes": size, "sha256": digest, "error": None
    }  # fmt: skip
    assert told["remote"] == {
        "ok": True, "path": str(there), "bytes": size, "sha256": digest, "error": None
    }  # fmt: skip
    assert told["duration_ms"] >= 0


def _networks(back: int) -> tuple[Network, ...]:
    """Two interfaces; what the second has carried grows, and it has the default route."""
    idle = Network("eth0", 9, 9, 9, 9, 0.0, 0.0, is_physical=True, is_default=False)
    counts = (1000, 2000, 10, 20) if back else (1500, 2700, 15, 27)
    busy = Network("eth1", *counts, 1.0, 1.0, is_physical=True, is_default=True)
    return idle, busy


def test_what_the_file_says(lab: Lab, redis_client: redis.Redis) -> None:
    now = datetime.now(UTC)
    lab.machine.connected_at = now - timedelta(minutes=90)
    lab.machine.save()
    samples = [
        make_sample(now - timedelta(seconds=2 * back), gpus=2, networks=_networks(back))
        for back in (1, 0)
    ]
    recorder = Recorder()
    for sample in samples:
        recorder.sessions.note(lab.machine.pk, "link", sample)
        recorder.add(lab.machine.pk, lab.team.pk, 1, sample)
    recorder.flush({lab.machine.pk: 1})
    stored = rows.made_up(rows.every(timedelta(seconds=20), 3, now.replace(microsecond=0)))
    rows.insert(lab.machine, RAW, stored)

    told = export(lab)
    document = json.loads(Path(told["local"]["path"]).read_bytes())

    assert list(document) == [
        "connection_id", "exported_at", "current_metrics", "gpus", "session_metrics", "history",
        "database_history",
    ]  # fmt: skip
    assert document["connection_id"] == str(lab.machine.pk)
    assert document["exported_at"].endswith("Z")
    assert document["current_metrics"] == {
        "gpu_name": "NVIDIA H100",
        "gpu_utilization": 50.0,
        "temperature_c": 60.0,
        "power_watts": 300.0,
        "memory_used_mb": 20 * 1024,
        "memory_total_mb": 80 * 1024,
        "network_interface": "eth1",
        "rx_bytes": 1500,
        "tx_bytes": 2700,
        "storage_total_gb": 0.0,
        "storage_used_gb": 0.0,
    }
    assert [gpu["index"] for gpu in document["gpus"]] == [0, 1]
    told_session = document["session_metrics"]
    assert told_session.pop("start_time").endswith("Z")
    assert told_session.pop("duration_minutes") == pytest.approx(0, abs=1)
    assert told_session == {
        "total_rx_bytes": 500,
        "total_tx_bytes": 700,
        "total_rx_packets": 5,
        "total_tx_packets": 7,
    }
    assert len(document["history"]) == 2
    assert document["history"][-1]["recorded_at"] > document["history"][0]["recorded_at"]
    assert [row["timestamp"] for row in document["database_history"]] == [
        row["at"].strftime("%Y-%m-%dT%H:%M:%S.000Z") for row in stored
    ]
    assert document["database_history"][0]["cpu_percent"] == pytest.approx(
        stored[0]["cpu_percent_avg"]
    )


def test_a_machine_that_never_spoke_has_nulls(lab: Lab, redis_client: redis.Redis) -> None:
    document = json.loads(Path(export(lab)["local"]["path"]).read_bytes())
    assert set(document["current_metrics"].values()) == {None}
    assert set(document["session_metrics"].values()) == {None}
    assert (document["gpus"], document["history"], document["database_history"]) == ([], [], [])


def test_a_machine_that_is_off_leaves_the_file_here(lab: Lab) -> None:
    told = export(lab)
    assert told["local"]["ok"] is True
    assert told["remote"]["ok"] is False
    assert told["remote"]["error"].startswith("The machine was not reached")
    assert told["state"] == State.DONE


@pytest.mark.parametrize("format_", ["csv", "parquet", "sqlite"])
def test_other_formats_hold_the_last_day(lab: Lab, format_: str) -> None:
    stored = rows.made_up(rows.every(timedelta(seconds=20), 5, datetime.now(UTC)))
    rows.insert(lab.machine, RAW, stored)
    told = export(lab, {"format": format_})
    assert told["filename"].endswith(f".{format_}")
    assert told["rows"] == 5
    assert len(READERS[format_](Path(told["local"]["path"]).read_bytes())) == 5


def test_a_folder_of_ones_own(lab: Lab, tmp_path: Path) -> None:
    with serving(tmp_path / "machine", lab.machine) as home:
        told = export(lab, {"remote_directory": "~/a b/$(touch x)"})
        assert told["remote"]["path"] == f"{home}/a b/$(touch x)/{told['filename']}"
        assert len(files_of(home)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"remote_directory": "../x"},
        {"remote_directory": "/a\nb"},
        {"format": "exe"},
        {"format": "json", "more": 1},
        {"range": "24h"},
        {"kind": "range"},
        {"kind": "range", "range": "24h", "remote_directory": "~"},
    ],
)
def test_what_makes_no_sense_is_refused(lab: Lab, body: dict[str, Any]) -> None:
    answer = lab.api().post(f"/connections/{lab.machine.pk}/exports", body)
    assert answer.status_code == 422
    assert not Export.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("stranger", 404)])
def test_who_may_not(lab: Lab, role: str, status: int) -> None:
    answer = lab.api(role).post(f"/connections/{lab.machine.pk}/exports", {})
    assert answer.status_code == status


def test_the_machines_disk_is_full(lab: Lab, tmp_path: Path, data_directory: Path) -> None:
    with serving(tmp_path / "machine", lab.machine) as home, small_disk(home / "projects", "8k"):
        (home / "projects/filler").write_bytes(b"x" * 4096)
        rows.insert(
            lab.machine,
            RAW,
            rows.made_up(rows.every(timedelta(seconds=20), 200, datetime.now(UTC))),
        )
        told = export(lab)
        assert files_of(home / "projects") == [home / "projects/filler"]
    assert told["local"]["ok"] is True
    assert told["remote"]["ok"] is False
    assert "disk of the machine is full" in told["remote"]["error"]


@pytest.mark.parametrize("reserve", [0, storage.RESERVE_BYTES])
def test_the_sites_disk_is_full(
    lab: Lab, tmp_path: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch, reserve: int
) -> None:
    """With the reserve it is refused politely beforehand, without it in the middle."""
    monkeypatch.setattr(storage, "RESERVE_BYTES", reserve)
    monkeypatch.setattr(storage, "check_room", storage.check_room if reserve else lambda *_: None)
    rows.insert(
        lab.machine, RAW, rows.made_up(rows.every(timedelta(seconds=20), 200, datetime.now(UTC)))
    )
    with serving(tmp_path / "machine", lab.machine) as home, small_disk(data_directory, "16k"):
        told = export(lab)
        assert files_of(data_directory) == []
        assert [path.name for path in files_of(home)] == [told["filename"]]
    assert told["remote"]["ok"] is True
    assert told["local"]["ok"] is False
    assert ("nearly full" if reserve else "is full") in told["local"]["error"]


def test_one_key_one_export(lab: Lab) -> None:
    first, second = (export(lab, None, **{"Idempotency-Key": "one"}) for _ in range(2))
    assert first == second
    assert Export.objects.count() == 1


def test_it_is_written_down_before(lab: Lab) -> None:
    told = export(lab)
    row = AuditEvent.objects.get(action="export.make")
    assert row.object_id == str(lab.machine.pk)
    assert row.at <= Export.objects.get(pk=told["id"]).finished_at  # type: ignore[operator]


def test_one_that_waits_is_cancelled_for_good(lab: Lab) -> None:
    told = lab.api().post(f"/connections/{lab.machine.pk}/exports", {}).json()
    answer = lab.api().post(f"/exports/{told['id']}/repeat")
    waiting = answer.json()
    assert (answer.status_code, waiting["state"]) == (201, "waiting")
    cancelled = lab.api().post(f"/exports/{waiting['id']}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert queue.run() == 0
    assert lab.api().post(f"/exports/{waiting['id']}/cancel").status_code == 409


def test_a_running_one_is_stopped(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_directory: Path
) -> None:
    monkeypatch.setattr(writer, "LOOK_SECONDS", 0.01)
    with serving(tmp_path / "machine", lab.machine) as home:
        told = export(lab)
        row = Export.objects.get(pk=told["id"])
        row.state, row.local_ok, row.remote_ok = State.RUNNING, None, None
        row.cancel_requested = True
        row.save()
        progress = writer._Progress()
        progress.stop()
        monkeypatch.setattr(writer, "_Progress", lambda: progress)
        writer.make(row)
        row.refresh_from_db()
        assert row.state == State.CANCELLED
        assert {row.local_error, row.remote_error} == {writer.CANCELLED}
        assert len(files_of(home)) == len(files_of(data_directory)) == 1  # those of the first


def test_a_dead_process_leaves_a_failed_row(lab: Lab) -> None:
    told = export(lab)
    Export.objects.filter(pk=told["id"]).update(
        state=State.RUNNING, alive_at=datetime.now(UTC) - timedelta(minutes=5)
    )
    queue.run()
    row = lab.api("viewer").get(f"/exports/{told['id']}").json()
    assert (row["state"], row["local"]["error"]) == ("failed", queue.LOST)


def test_the_sites_own_machine(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    lab.machine.transport = "local"
    lab.machine.save()
    with override_settings(HOLDS_LOCAL=True):
        told = export(lab)
    assert told["remote"]["path"] == str(tmp_path / "own/projects/exports" / told["filename"])
    assert told["remote"]["sha256"] == told["local"]["sha256"]


def test_the_sites_own_machine_takes_no_folder_outside_its_roots(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    keys = tmp_path / "own/.ssh"
    keys.mkdir(parents=True)
    (tmp_path / "own/projects").mkdir()
    (tmp_path / "own/projects/link").symlink_to(keys)
    Connection.objects.filter(pk=lab.machine.pk).update(transport="local")
    for directory in ("~/.ssh", "/etc", str(keys), "~/projects/link", "~/projects/link/deeper"):
        answer = lab.api("operator").post(
            f"/connections/{lab.machine.pk}/exports", {"remote_directory": directory}
        )
        assert (answer.status_code, fields_of(answer)) == (422, {"remote_directory"}), directory
    # A row that is there already is looked at again when its time comes.
    told = export(lab)
    row = Export.objects.get(pk=told["id"])
    row.remote_directory = "~/projects/link"
    writer.make(row)
    row.refresh_from_db()
    assert (row.local_ok, row.remote_ok) == (True, False)
    assert "DGX_LOCAL_ROOTS" in row.remote_error
    assert list(keys.iterdir()) == []
