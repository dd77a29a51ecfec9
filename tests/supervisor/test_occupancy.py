"""The lock on a data directory and the end of leftovers."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dgxsite.up import children
from dgxsite.up.instance_lock import Occupancy, Occupied


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = children.start([sys.executable, "-c", "import time; time.sleep(60)"])
    yield child
    children.stop(child, signal.SIGKILL, 5)


def test_second_is_told_who_is_first(tmp_path: Path) -> None:
    first = Occupancy(tmp_path)
    first.announce("http://127.0.0.1:8000")
    with pytest.raises(Occupied, match=r"process \d+, http://127\.0\.0\.1:8000"):
        Occupancy(tmp_path)
    first.release()
    Occupancy(tmp_path).release()


def test_data_directory_is_private(tmp_path: Path) -> None:
    Occupancy(tmp_path / "data").release()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_ends_what_a_killed_supervisor_left(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    killed = Occupancy(tmp_path)
    killed.remember([(sleeper.pid, signal.SIGTERM)])
    killed.release()
    following = Occupancy(tmp_path)
    assert following.end_leftovers() == 1
    assert not psutil.pid_exists(sleeper.pid)
    assert following.end_leftovers() == 0
    following.release()


def test_spares_a_stranger_with_the_same_number(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    occupancy = Occupancy(tmp_path)
    started = psutil.Process(sleeper.pid).create_time()
    (tmp_path / "up.children").write_text(f"[[{sleeper.pid}, {started - 3600}, 15]]")
    assert occupancy.end_leftovers() == 0
    assert sleeper.poll() is None
    occupancy.release()


def test_ends_grandchildren_of_a_dead_child(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"
    leader = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert leader.stdout is not None
    assert leader.stdin is not None
    grandchild = psutil.Process(int(leader.stdout.readline()))
    occupancy = Occupancy(tmp_path)
    occupancy.remember([(leader.pid, signal.SIGTERM)])
    leader.stdin.close()
    leader.wait(5)
    leader.stdout.close()
    assert occupancy.end_leftovers() == 1
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    occupancy.release()


@pytest.mark.parametrize("text", ["", "{}", "[[1]]", "no json", '[["a", 1, 2]]', "[1]"])
def test_survives_a_damaged_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.children").write_text(text)
    occupancy = Occupancy(tmp_path)
    assert occupancy.end_leftovers() == 0
    occupancy.release()
