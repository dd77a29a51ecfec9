"""The files of a job: what a person writes stays a file, and docker gets what the site chose."""

import re
import shlex
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.remote import protocol as remote_protocol
from jobs.remote.launch import Plan, files, is_image, shown_command, visible_devices
from tests.jobs.machine import Machine, make_machine

JOB = uuid.UUID("11111111-2222-3333-4444-555555555555")
PLAN = Plan(JOB, "/srv/p", "echo hi", {"A": "b"}, ("0", "2"), {"lr": 0.1})

# Notes its arguments one per line, plays the client that stays until it is told to go.
FAKE_DOCKER = r"""#!/bin/sh
printf '%s\n' "$@" "--" >>"$HOME/docker.calls"
case $1 in
run)
    while [ "$1" != --cidfile ]; do shift; done
    printf %064d 7 >"$2"
    trap 'exit 143' TERM
    echo started
    until [ -e "$HOME/end" ]; do sleep 0.1; done ;;
stop|kill) touch "$HOME/end" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = make_machine(tmp_path / "home")
    tool = made.home / "bin/docker"
    tool.write_text(FAKE_DOCKER)
    tool.chmod(0o755)
    (made.home / ".profile").write_text("PATH=$HOME/bin:$PATH\n")  # as people have it
    yield made
    made.clean()


def container(machine: Machine, **fields: object) -> Plan:
    values = {"image": "ubuntu:24.04", "folder": str(machine.home), "grace_seconds": 3} | fields
    return replace(PLAN, **values)  # type: ignore[arg-type]


def launch(machine: Machine, plan: Plan) -> None:
    marker = "c" * 32
    machine.run(remote_protocol.start(marker, plan.job_id, files(plan)), marker)


def test_a_program_sees_its_gpus_and_no_other() -> None:
    assert visible_devices(("0", "2"))["CUDA_VISIBLE_DEVICES"] == "0,2"
    assert visible_devices(())["CUDA_VISIBLE_DEVICES"] == ""
    assert visible_devices(("MIG-a",)) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "MIG-a",
    }
    # A name of the job's own cannot replace what was granted.
    plan = replace(PLAN, environment={"CUDA_VISIBLE_DEVICES": "7"})
    assert b"CUDA_VISIBLE_DEVICES=0,2\n" in files(plan)["environment"]


def test_limits() -> None:
    plan = replace(PLAN, max_seconds=60, log_limit_bytes=1024)
    assert files(plan)["limits"] == b"2 60 30\n"
    assert int(files(PLAN)["limits"].split()[1]) > 300_000_000


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("ubuntu", True),
        ("ubuntu:24.04", True),
        ("nvcr.io/nvidia/pytorch:25.01-py3", True),
        ("localhost:5000/a/b_c", True),
        ("a/b@sha256:" + "0" * 64, True),
        ("", False),
        ("--privileged", False),
        ("-v", False),
        ("Ubuntu", False),
        ("a b", False),
        ("a;b", False),
        ("a\n", False),
        ("../a", False),
        ("a//b", False),
        ("a:", False),
        ("$(id)", False),
        ("a" * 501, False),
    ],
)
def test_images(text: str, fits: bool) -> None:
    assert is_image(text) == fits


@given(st.text(max_size=80))
def test_a_folder_is_one_word_whatever_it_holds(folder: str) -> None:
    plan = replace(PLAN, folder="/" + folder.replace("\0", ""), image="ubuntu")
    words = shlex.split(shown_command(plan).split("exec ", 1)[1])
    assert words[words.index("--workdir") + 1] == plan.folder
    assert words.count("--privileged") == 0
    assert words[-2:] == ["ubuntu", "/dgxsite/command"]


def test_runs_a_container_and_keeps_its_id(machine: Machine) -> None:
    launch(machine, container(machine, command="echo '$HOME' \"x\""))
    seen = machine.until(JOB, lambda seen: seen.container_id is not None)
    assert seen.container_id == f"{7:064d}"
    folder = machine.jobs / str(JOB)
    assert (machine.home / "docker.calls").read_text().splitlines() == [
        "run",
        "--rm",
        "--init",
        "--name",
        f"dgxsite-{JOB}",
        "--label",
        f"dgxsite.job={JOB}",
        "--gpus",
        '"device=0,2"',
        "--volume",
        f"{machine.home}:{machine.home}",
        "--workdir",
        str(machine.home),
        "--cidfile",
        f"{folder}/container",
        "--env-file",
        f"{folder}/container.env",
        "--volume",
        f"{folder}/inside:/dgxsite/command:ro",
        "--volume",
        f"{folder}/config.json:/dgxsite/config.json:ro",
        "--shm-size",
        half_the_memory(),
        "--entrypoint",
        "sh",
        "ubuntu:24.04",
        "/dgxsite/command",
        "--",
    ]
    assert (folder / "inside").read_text() == "echo '$HOME' \"x\""
    assert "A=b" in (folder / "container.env").read_text().splitlines()
    assert "CUDA_VISIBLE_DEVICES" not in (folder / "container.env").read_text()
    (machine.home / "end").touch()
    assert machine.ended(JOB).exit_code == 0


def half_the_memory() -> str:
    found = re.search(r"MemTotal: *(\d+) kB", Path("/proc/meminfo").read_text())
    assert found is not None
    return f"{int(found[1]) // 2}k"


def test_a_container_without_a_gpu_sees_none_whatever_its_image_asks_for() -> None:
    plan = replace(PLAN, image="ubuntu", granted=(), environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    words = shlex.split(shown_command(plan).split("exec ", 1)[1])
    assert words[words.index("--env") + 1] == "NVIDIA_VISIBLE_DEVICES=void"
    assert "--gpus" not in words


def test_a_stop_stops_the_container_as_well(machine: Machine) -> None:
    launch(machine, container(machine))
    machine.until(JOB, lambda seen: b"started" in seen.log)
    machine.stop(JOB)
    seen = machine.ended(JOB)
    assert (seen.ending, seen.exit_code) == ("stop", 143)
    calls = (machine.home / "docker.calls").read_text()
    assert f"stop\n-t\n3\ndgxsite-{JOB}\n" in calls
