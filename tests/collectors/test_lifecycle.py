"""How the program ends, what it leaves, and what it costs; under dash, bash and busybox."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.collectors.machine import Machine, is_complete, make_machine
from tests.programs import require_program

GPU = "nvidia-smi-xml/rtx-3060-570.xml"


def start(machine: Machine) -> None:
    """Start it, and wait until its children are there."""
    machine.play(GPU)
    machine.start()
    machine.until(lambda sample: bool(sample.gpus))


def test_ends_with_its_stdin(any_machine: Machine) -> None:
    start(any_machine)
    assert any_machine.process is not None
    assert any_machine.process.stdin is not None
    any_machine.process.stdin.close()
    assert any_machine.gone() < 5


def test_ends_without_heartbeat(any_machine: Machine) -> None:
    any_machine.patience_seconds = 1.2
    start(any_machine)
    assert any_machine.gone() < 6


def test_goes_on_with_heartbeat(any_machine: Machine) -> None:
    any_machine.patience_seconds = 1.8
    start(any_machine)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        any_machine.write()
        any_machine.read(0.3)
    seen = len(any_machine.samples)
    any_machine.until(lambda sample: True)
    assert len(any_machine.samples) > seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ends_on_a_signal(any_machine: Machine, number: signal.Signals) -> None:
    start(any_machine)
    assert any_machine.process is not None
    os.kill(any_machine.process.pid, number)
    assert any_machine.gone() < 5


def test_ends_when_nobody_reads(any_machine: Machine) -> None:
    start(any_machine)
    assert any_machine.process is not None
    assert any_machine.process.stdout is not None
    any_machine.process.stdout.close()
    assert any_machine.gone() < 5


def test_kills_a_tool_that_ignores_signals(machine: Machine) -> None:
    machine.install("df", "#!/bin/sh\ntrap '' TERM HUP INT PIPE\nwhile :; do sleep 1; done\n")
    start(machine)
    assert machine.process is not None
    assert machine.process.stdin is not None
    machine.process.stdin.close()
    assert machine.gone() < 5


def test_ends_when_killed_and_reader_gone(any_machine: Machine) -> None:
    """The main shell killed outright: its children end with stdin."""
    start(any_machine)
    assert any_machine.process is not None
    assert any_machine.process.stdin is not None
    os.kill(any_machine.process.pid, signal.SIGKILL)
    any_machine.process.wait()
    any_machine.process.stdin.close()
    assert any_machine.gone() < 5


def test_leaves_no_file(any_machine: Machine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    any_machine.play(GPU)
    any_machine.start(HOME=str(home), TMPDIR=str(home))
    any_machine.until(is_complete)
    assert any_machine.process is not None
    assert any_machine.process.stdin is not None
    any_machine.process.stdin.close()
    any_machine.gone()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_starts_few_processes_per_sample(tmp_path: Path, shell: str) -> None:
    """Counted by strace over ten samples; none of them is nvidia-smi."""
    strace = require_program("strace")
    machine = make_machine(tmp_path, shell, interval_seconds=0.5, slow_seconds=2.5)
    machine.play(GPU)
    trace = tmp_path / "trace"
    calls = "trace=clone,clone3,fork,vfork,execve"
    try:
        shell_path = str(machine.bin / "sh")
        machine.install(
            "login", f'#!/bin/sh\nexec {strace} -f -qq -e {calls} -o {trace} {shell_path} "$@"\n'
        )
        machine.start(str(machine.bin / "login"))
        machine.until(is_complete)
        machine.until(lambda sample: bool(sample.gpus))
        before, forks = len(machine.samples), _forks(trace)
        asked = len(machine.calls())
        machine.until(lambda sample: len(machine.samples) >= before + 10)
        per_sample = (_forks(trace) - forks) / (len(machine.samples) - before)
        assert len(machine.calls()) == asked
    finally:
        machine.end()
    assert per_sample <= 5


def _forks(trace: Path) -> int:
    """Processes started so far; a threads' clone does not count."""
    text = trace.read_text()
    found = re.findall(r"^\d+ +(?:<\.\.\. )?(?:clone3?|v?fork)\b.*= \d+$", text, re.MULTILINE)
    return len([line for line in found if "CLONE_THREAD" not in line])


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_sends_a_frame_with_one_write(tmp_path: Path, shell: str) -> None:
    strace = require_program("strace")
    machine = make_machine(tmp_path, shell)
    trace = tmp_path / "trace"
    try:
        shell_path = str(machine.bin / "sh")
        options = f"-f -qq -s 200000 -e trace=write -o {trace}"
        machine.install("login", f'#!/bin/sh\nexec {strace} {options} {shell_path} "$@"\n')
        machine.start(str(machine.bin / "login"))
        machine.until(lambda sample: len(machine.samples) > 5)
    finally:
        machine.end()
    writes = trace.read_text().splitlines()
    frames = [line for line in writes if re.search(r'write\(1, "[0-9a-f]{32}F \d', line)]
    assert len(frames) > 4
    # bash's buffer holds 4,096 bytes; a larger frame is as many writes as it fills.
    whole = re.compile(r'\\rE \d+\\n", \d+( <unfinished|\))|", 4096( <unfinished|\))')
    assert all(whole.search(line) for line in frames[:-1]), frames[0][-100:]
