"""The bench itself, on a handful of machines, as a person starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(240)


def start(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def living_in(directory: Path) -> list[str]:
    """The command lines of processes that work below the directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        text = " ".join(process.info["cmdline"] or ())
        if str(directory) in text:
            found.append(text)
    return found


def test_measures_five_machines_and_leaves_nothing_behind(short_directory: Path) -> None:
    bench = start(short_directory, "--machines", "5", "--seconds", "4", "--only", "scale,exec")
    output, errors = bench.communicate(timeout=220)
    assert bench.returncode == 0, errors
    for label in ("keeper / floor", "keeper / exec per poll"):
        found = re.search(rf"^{label} +(\d+\.\d\d)$", output, re.MULTILINE)
        assert found, output
        assert float(found[1]) > 0
    assert "not measured" in output  # no ratio at 200 machines
    assert list(short_directory.iterdir()) == []
    assert living_in(short_directory) == []


def test_counts_what_a_log_costs_in_the_journal(short_directory: Path) -> None:
    bench = start(short_directory, "--only", "log")
    output, errors = bench.communicate(timeout=220)
    assert bench.returncode == 0, errors
    label = "bytes per byte of log printed line by line"
    found = re.search(rf"^{label} +(\d+\.\d\d) +(\d+\.\d\d) +\d+$", output, re.MULTILINE)
    assert found, output
    # A busy machine writes more often; that it is 4 at most is in tests/jobs/test_log_store.py.
    assert 0 < 4 * float(found[1]) < float(found[2])


def test_counts_what_a_round_of_a_long_queue_costs(short_directory: Path) -> None:
    bench = start(short_directory, "--only", "queue")
    output, errors = bench.communicate(timeout=220)
    assert bench.returncode == 0, errors
    label = "CPU, ms, nothing has changed"
    found = re.search(rf"^{label} +(\d+\.\d) +(\d+\.\d) +\d+$", output, re.MULTILINE)
    assert found, output
    assert float(found[2]) > 4 * float(found[1])


def test_writes_and_asks_for_three_days(short_directory: Path) -> None:
    bench = start(short_directory, "--days", "3", "--only", "history")
    output, errors = bench.communicate(timeout=220)
    assert bench.returncode == 0, errors
    assert "12,960 windows" in output
    for name in ("1h", "6h", "24h", "7d", "30d", "12m"):
        # Where a Prometheus is installed its figures follow.
        line = rf"^{name} +\d+\.\d ms +\d+\.\d ms +[\d,]+( |$)"
        assert re.search(line, output, re.MULTILINE), output
    assert living_in(short_directory) == []


def test_ends_everything_when_it_is_interrupted(short_directory: Path) -> None:
    bench = start(short_directory, "--machines", "5", "--only", "latency")
    deadline = time.monotonic() + 60
    while not any("postgres" in text for text in living_in(short_directory)):
        assert bench.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    bench.send_signal(signal.SIGINT)
    _, errors = bench.communicate(timeout=120)
    assert bench.returncode == 130, errors
    assert list(short_directory.iterdir()) == []
    assert living_in(short_directory) == []


@pytest.mark.parametrize(
    "arguments", [["--machines", "many"], ["--machines", "0"], ["--only", "everything"]]
)
def test_refuses_what_it_cannot_measure(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
