"""`python -m simulator` as another process runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.processes import processes_of
from simulator.recording import arrange, save
from tests.simulator import client

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's ssh")

ROOT = Path(__file__).resolve().parents[2]
Process = subprocess.Popen


def begin(folder: Path, *options: str) -> "Process[bytes]":
    """Start the command and wait for its fleet file."""
    process = Process([sys.executable, "-m", "simulator", "--dir", str(folder), *options], cwd=ROOT)
    client.wait_until((folder / "fleet.json").exists, 30)
    return process


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["Process[bytes]"]:
    process = begin(tmp_path, "--fleet", "demo")
    yield process
    process.kill()
    process.wait()


def machines_of(folder: Path) -> dict[str, dict[str, Any]]:
    entries = json.loads((folder / "fleet.json").read_text())["machines"]
    return {entry["name"]: entry for entry in entries}


def ssh(entry: dict[str, Any], command: str) -> "subprocess.CompletedProcess[bytes]":
    """Log in as fleet.json says, trusting the host key that it names and no other."""
    known = Path(entry["private_key_path"]).with_name("known_hosts")
    known.write_text(f"[{entry['hostname']}]:{entry['port']} {entry['host_key_line']}\n")
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "User": entry["username"],
        "Port": entry["port"],
        "IdentityFile": entry["private_key_path"],
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        ["ssh", "-F", "none", *words, entry["hostname"], command],
        capture_output=True,
        timeout=20,
        check=False,
    )


def test_the_demo_fleet_is_named_reachable_and_gone_at_sigterm(
    tmp_path: Path, demo: "Process[bytes]"
) -> None:
    machines = machines_of(tmp_path)
    assert list(machines) == ["sim-spark-1", "sim-spark-2", "sim-h100-8", "sim-radeon", "sim-flaky"]
    done = ssh(machines["sim-spark-2"], "nvidia-smi -L; setsid sleep 600 >/dev/null 2>&1 &")
    assert b"NVIDIA GB10" in done.stdout
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(10) == 0
    for name in machines:
        assert processes_of(tmp_path / "machines" / name) == []


def test_a_fault_is_sent_to_the_running_fleet(tmp_path: Path, demo: "Process[bytes]") -> None:
    command = [sys.executable, "-m", "simulator", "--dir", str(tmp_path), "--machine"]
    sent = subprocess.run([*command, "sim-spark-1", "--fault", "tool_fails"], cwd=ROOT, check=False)
    assert sent.returncode == 0
    assert ssh(machines_of(tmp_path)["sim-spark-1"], "nvidia-smi").returncode == 9
    refused = subprocess.run(
        [*command, "nobody", "--fault", "freeze"], cwd=ROOT, check=False, capture_output=True
    )
    assert refused.returncode == 1
    assert b"nobody" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-m', 'simulator', *sys.argv[1:]]);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", program, "--dir", str(tmp_path), "--fleet", "small"]
    with Process(words, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        client.wait_until((tmp_path / "fleet.json").exists, 30)
        parent.kill()
    client.wait_until(lambda: not client.is_alive(pid))
    assert processes_of(tmp_path / "machines" / "sim-spark-1") == []


def test_light_machines_are_started_from_a_recording(tmp_path: Path) -> None:
    marker = "ab" * 16
    pieces = [(0.1 * n, f"{marker}F {n}\n".encode()) for n in range(8)]
    save(arrange(pieces, marker.encode(), 0.2, 0.6), tmp_path / "recording.json")
    process = begin(tmp_path, "--light", "5", "--recording", str(tmp_path / "recording.json"))
    try:
        machines = machines_of(tmp_path)
        assert len(machines) == 5
        assert ssh(machines["sim-light-5"], "echo ok").stdout == b"ok\n"
    finally:
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
