"""The supervisor alone, with small programs in the place of the site's."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dgxsite.up.console import Console
from dgxsite.up.instance_lock import Occupancy
from dgxsite.up.supervisor import Failed, Program, Stopped, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def supervisor(tmp_path: Path, log: Path) -> Iterator[Supervisor]:
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    occupancy = Occupancy(tmp_path / "data")
    running = Supervisor(Console(descriptor), occupancy)
    yield running
    running.stop()
    occupancy.release()
    os.close(descriptor)


def program(name: str, code: str, *, stage: int = 0, patience: float = 5.0) -> Program:
    return Program(name, (sys.executable, "-c", code), stage=stage, patience_seconds=patience)


def serve_until(
    supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 10.0
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        supervisor.serve(0.05)


def test_prefixes_each_line_with_the_program(supervisor: Supervisor, log: Path) -> None:
    supervisor.start(program("one", "print('hello'); print('ünï\\n last', end='')"))
    serve_until(supervisor, lambda: "ended with status 0" in log.read_text())
    lines = [line.partition(" ")[2] for line in log.read_text().splitlines()]
    assert lines[:3] == ["one       | hello", "one       | ünï", "one       |  last"]


def test_passes_on_a_line_without_end_in_pieces(supervisor: Supervisor, log: Path) -> None:
    supervisor.start(program("one", "print('#' * 100_000)"))
    serve_until(supervisor, lambda: log.read_text().count("#") == 100_000)
    assert max(len(line) for line in log.read_text().splitlines()) < 100_000


def test_restarts_what_died_and_says_so(supervisor: Supervisor, log: Path) -> None:
    supervisor.start(program("one", SLEEPER))
    serve_until(supervisor, lambda: "up" in log.read_text())
    first = supervisor.pids()["one"]
    os.kill(first, signal.SIGKILL)
    serve_until(supervisor, lambda: supervisor.pids().get("one", first) != first)
    assert "one was ended by SIGKILL; it starts again in 1 s" in log.read_text()


def test_waits_longer_after_each_death(supervisor: Supervisor, log: Path) -> None:
    supervisor.start(program("one", "raise SystemExit(3)"))
    serve_until(supervisor, lambda: "again in 4 s" in log.read_text())
    text = log.read_text()
    assert text.index("status 3; it starts again in 1 s") < text.index("again in 2 s")


def test_stops_higher_stages_first(supervisor: Supervisor, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(ends)!r}, 'a').write(sys.argv[1] + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    for name, stage in (("base", 0), ("clock", 2), ("site", 1)):
        argv = (sys.executable, "-c", code, name)
        supervisor.start(Program(name, argv, stage=stage, patience_seconds=5))
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        supervisor.serve(0.05)
    supervisor.stop()
    assert ends.read_text().split() == ["clock", "site", "base"]


def test_kills_what_does_not_listen(supervisor: Supervisor, log: Path) -> None:
    supervisor.start(program("deaf", DEAF, patience=0.3))
    serve_until(supervisor, lambda: "up" in log.read_text())
    pid = supervisor.pids()["deaf"]
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 2
    assert not psutil.pid_exists(pid)
    assert "deaf does not stop; killed" in log.read_text()


def test_reports_a_program_that_dies_while_it_starts(supervisor: Supervisor) -> None:
    supervisor.start(program("one", "raise SystemExit(1)"))
    with pytest.raises(Failed, match="one ended while it was starting"):
        supervisor.wait_for("one", lambda: False, 10)


def test_reports_a_program_that_is_never_ready(supervisor: Supervisor) -> None:
    supervisor.start(program("one", SLEEPER))
    with pytest.raises(Failed, match="one was not ready after 0 s"):
        supervisor.wait_for("one", lambda: False, 0.2)


def test_a_signal_ends_the_waiting(supervisor: Supervisor) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    child = signal.getsignal(signal.SIGCHLD)
    try:
        supervisor.listen_to_signals()
        supervisor.start(program("one", SLEEPER))
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            supervisor.wait_for("one", lambda: False, 10)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in [*before.items(), (signal.SIGCHLD, child)]:
            signal.signal(number, handler)


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from dgxsite.up.console import Console; from dgxsite.up.instance_lock import Occupancy\n"
        "from dgxsite.up.supervisor import Program, Supervisor\n"
        f"s = Supervisor(Console(2), Occupancy(Path({str(tmp_path)!r})))\n"
        f"s.start(Program('one', (sys.executable, '-c', {SLEEPER!r}), 0, 1.0))\n"
        "print(s.pids()['one'], flush=True)\n"
        "while True: s.serve(1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    console = Console(writing)
    console.line("one", "nobody reads this")
    console.say("nor this")
