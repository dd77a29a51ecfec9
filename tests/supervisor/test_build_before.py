"""A backup of the build before this one is restored and served by this one, and loses nothing.

`backups/2026-12-01.dump.xz` is what `manage.py backup` of commit 25816eb wrote about one machine,
its project, two jobs with a log, a GPU alert and a minute of history. Its secrets are under the key
below, which opens nothing else.
"""

import json
import lzma
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.supervisor.running import RunningSite, manage

_BACKUP = Path(__file__).parent / "backups/2026-12-01.dump.xz"
_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
_NEWER = "HxsdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RunningSite]:
    """The restored site, ready."""
    data = tmp_path / "data"
    backup = tmp_path / "before.dump"
    backup.write_bytes(lzma.decompress(_BACKUP.read_bytes()))
    restored = manage(data, "restore", str(backup), DGX_ENCRYPTION_KEYS=_KEY)
    assert restored.returncode == 0, restored.stderr
    running = RunningSite(data, DGX_ENCRYPTION_KEYS=_KEY)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        running.destroy()


def test_it_is_served_whole_and_every_secret_opens(site: RunningSite) -> None:
    made = manage(site.data_dir, "create_token", "vera", "--name", "test", DGX_ENCRYPTION_KEYS=_KEY)
    assert made.returncode == 0, made.stderr

    def get(path: str) -> Any:
        request = urllib.request.Request(
            f"{site.url}/api/v1/{path}", headers={"Authorization": f"Bearer {made.stdout.strip()}"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    (machine,) = (row for row in get("connections")["items"] if row["name"] == "spark-01")
    assert machine["hostname"] == "spark-01.example.org"
    (project,) = get("projects")["items"]
    assert (project["name"], project["config"]) == ("mnist", {"lr": 0.1})
    jobs = {job["name"]: job for job in get("jobs")["items"]}
    assert {name: job["status"] for name, job in jobs.items()} == {
        "first run": "completed",
        "next run": "pending",
    }
    log = get(f"jobs/{jobs['first run']['id']}/log")
    assert log["text"] == "epoch 1 loss=0.5\nepoch 2 loss=0.25\n"
    assert [alert["gpu"] for alert in get(f"connections/{machine['id']}/gpu-alerts")["items"]] == [
        0
    ]
    span = "start=2026-11-30T08:00:00Z&end=2026-11-30T08:01:00Z"
    history = get(f"connections/{machine['id']}/metrics/history?{span}&metrics=cpu_percent")
    assert set(history["series"]["cpu_percent"]["avg"]) == {42.0}

    keys = f"{_NEWER},{_KEY}"
    rotated = manage(site.data_dir, "rotate_keys", DGX_ENCRYPTION_KEYS=keys)
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout.startswith("2 secrets rotated"), rotated.stdout
