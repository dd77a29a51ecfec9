"""`manage.py up` for real: both servers, web, keeper and beat in a fresh data directory."""

import json
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cryptography.fernet import Fernet

from core import embedded
from dgxsite.up import children, servers
from tests.sshd import free_port
from tests.supervisor.running import (
    ROOT,
    RunningSite,
    environment,
    living,
    manage,
    wait_until_gone,
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    running = RunningSite(tmp_path_factory.mktemp("up") / "data")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.destroy()


@pytest.fixture
def starts() -> Iterator[list[RunningSite]]:
    """Sites that a test starts; none survives it."""
    started: list[RunningSite] = []
    yield started
    for running in started:
        running.destroy()


def test_every_part_is_well(site: RunningSite) -> None:
    assert site.health() == ""


def test_first_start_prints_a_setup_link_that_works(site: RunningSite) -> None:
    link = re.search(rf"^  ({re.escape(site.url)}/setup/\S+)$", site.log, re.MULTILINE)
    assert link is not None
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        link.group(1), timeout=20
    ) as page:
        assert page.status == 200


def test_log_names_no_secret(site: RunningSite) -> None:
    for key in (site.data_dir / "keys").iterdir():
        assert key.read_text().strip() not in site.log


def test_data_directory_is_closed_to_others(site: RunningSite) -> None:
    for path in (site.data_dir, site.data_dir / "keys", site.data_dir / "postgres"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_nothing_listens_but_the_web(site: RunningSite) -> None:
    ports = {
        connection.laddr.port
        for process in site.family()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert ports == {site.port}


def test_second_supervisor_is_refused_and_told_why(site: RunningSite) -> None:
    second = manage(site.data_dir, "up", "--port", str(free_port()))
    assert second.returncode == 1
    assert f"process {site.process.pid}, {site.url}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert site.health() == ""


def test_port_in_use_is_one_clear_line(site: RunningSite, tmp_path: Path) -> None:
    other = manage(tmp_path / "other", "up", "--port", str(site.port))
    assert other.returncode == 1
    assert other.stderr.splitlines() == [
        f"CommandError: Cannot listen on 127.0.0.1 port {site.port}: Address already in use."
    ]


@pytest.mark.parametrize("words", ["uvicorn", "redis-server", "dgxsite worker", "dgxsite beat"])
def test_restarts_a_killed_child(site: RunningSite, words: str) -> None:
    killed = site.child(words)
    killed.kill()
    site.wait_until(lambda: _has_other(site, words, killed.pid))
    site.wait_until(lambda: site.health() == "", 60)
    assert "was ended by SIGKILL; it starts again in" in site.log


def _has_other(site: RunningSite, words: str, pid: int) -> bool:
    try:
        return site.child(words).pid != pid
    except (AssertionError, psutil.Error):
        return False


def test_backup_comes_back_on_a_stopped_site_only(
    site: RunningSite, tmp_path: Path, starts: list[RunningSite]
) -> None:
    backup = tmp_path / "dgx.dump"
    made = manage(site.data_dir, "backup", str(backup))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    for key in (site.data_dir / "keys").iterdir():
        assert key.read_text().strip().encode() not in backup.read_bytes()
    refused = manage(site.data_dir, "restore", str(backup))
    assert refused.returncode == 1
    assert "Stop the site first" in refused.stderr

    # On a new machine, with the keys from where they were kept.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    shutil.copytree(site.data_dir / "keys", elsewhere / "keys")
    restored = manage(elsewhere, "restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    assert "Everybody logs in again and makes new tokens." in restored.stdout
    again = RunningSite(elsewhere)
    starts.append(again)
    again.wait_until_ready()
    assert "applied" not in again.log, "the backup brought its tables along"


def test_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.dump"
    damaged.write_bytes(b"PGDMP and then nothing")
    refused = manage(tmp_path / "data", "restore", str(damaged))
    assert refused.returncode == 1
    assert "pg_restore" in refused.stderr


def test_stops_quickly_and_completely_and_starts_again(
    tmp_path: Path, starts: list[RunningSite]
) -> None:
    for how in (signal.SIGTERM, signal.SIGINT):
        running = RunningSite(tmp_path / "data")
        starts.append(running)
        running.wait_until_ready()
        family = running.family()
        assert len(family) > 5
        assert running.stop(how) < 10
        assert living(family) == []
        assert running.process.returncode == 0
        assert not (tmp_path / "data" / "up.children").exists()
    assert "applied" not in starts[1].log


def test_stops_while_it_is_still_starting(tmp_path: Path, starts: list[RunningSite]) -> None:
    running = RunningSite(tmp_path / "data")
    starts.append(running)
    running.wait_until((tmp_path / "data" / "up.children").exists)
    family = running.family()
    running.stop(signal.SIGINT)
    assert wait_until_gone(family, 1) == []


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL and a Redis that somebody else runs, and the keys that belong to them."""
    elsewhere = tmp_path / "elsewhere"
    running = [servers.postgres(elsewhere), servers.redis_server(elsewhere)]
    started = [
        children.start(s.argv, death_signal=s.stop_signal, output=subprocess.DEVNULL)
        for s in running
    ]
    deadline = time.monotonic() + 60
    while not all(server.is_ready() for server in running):
        assert time.monotonic() < deadline, "the servers did not start"
        time.sleep(0.1)
    yield {
        "DATABASE_URL": embedded.database_url(elsewhere),
        "REDIS_URL": embedded.redis_url(elsewhere),
        "DGX_SECRET_KEY": "a-key-for-tests-" * 4,
        "DGX_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    for process, server in zip(started, running, strict=True):
        children.stop(process, server.stop_signal, 10)


@pytest.mark.parametrize(("name", "own"), [("DATABASE_URL", "redis"), ("REDIS_URL", "postgres")])
def test_runs_only_the_server_that_is_not_given(
    tmp_path: Path, starts: list[RunningSite], given: dict[str, str], name: str, own: str
) -> None:
    keys = {key: value for key, value in given.items() if key.startswith("DGX_")}
    running = RunningSite(tmp_path / "data", **keys, **{name: given[name]})
    starts.append(running)
    running.wait_until_ready()
    assert running.health() == ""
    programs = {Path(p.exe()).name for p in psutil.Process(running.process.pid).children()}
    assert {kind for kind in ("redis", "postgres") if any(kind in p for p in programs)} == {own}
    assert running.stop() < 10


def test_a_killed_make_leaves_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    command = [sys.executable, "manage.py", "up", "--port", str(free_port())]
    make = subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "make", *command],
        cwd=ROOT,
        env=environment(data_dir, MAKELEVEL="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (data_dir / "up.children").exists():
        assert time.monotonic() < deadline, "it did not start"
        time.sleep(0.1)
    family = psutil.Process(make.pid).children(recursive=True)
    make.kill()
    make.wait()
    assert wait_until_gone(family, 30) == []


def test_nothing_outlives_a_killed_supervisor_for_long(
    tmp_path: Path, starts: list[RunningSite]
) -> None:
    first = RunningSite(tmp_path / "data")
    starts.append(first)
    first.wait_until_ready()
    family = first.family()
    first.process.kill()
    first.process.wait()
    following = RunningSite(tmp_path / "data")
    starts.append(following)
    following.wait_until_ready()
    assert living(family) == []


def test_demo_watches_its_simulated_machines(tmp_path: Path, starts: list[RunningSite]) -> None:
    running = RunningSite(tmp_path / "data", "--demo")
    starts.append(running)
    running.wait_until_ready(150)
    logins = re.findall(r"^  (admin|operator|viewer) +(\S{8,})$", running.log, re.MULTILINE)
    assert [name for name, _ in logins] == ["admin", "operator", "viewer"]
    machines = json.loads((tmp_path / "data" / "simulator" / "fleet.json").read_text())["machines"]
    assert len(machines) == 5
    # The fifth is flaky, and the site's own machine is one more.
    running.wait_until(lambda: len(re.findall(r"connected connection=", running.log)) >= 5)
    family = running.family()
    assert running.stop() < 10
    assert living(family) == []


def test_wrong_settings_are_one_clear_line(tmp_path: Path) -> None:
    refused = manage(tmp_path, "up", DGX_ADMIN_USERNAME="admin")
    assert refused.returncode == 1
    assert "DGX_ADMIN_PASSWORD" in refused.stderr.splitlines()[-1]


def test_given_servers_need_keys(tmp_path: Path) -> None:
    refused = manage(tmp_path, "up", DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert refused.returncode == 1
    assert "DGX_SECRET_KEY is not set" in refused.stderr.splitlines()[-1]
