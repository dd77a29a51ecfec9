"""The program that writes down what a run began from, under dash, bash and busybox."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.remote import origin
from jobs.remote import protocol as remote_protocol
from tests.jobs.machine import SHELLS, Machine, make_machine
from tests.programs import require_program
from tests.waiting import until

TOOLS = ("uname", "sed", "tr", "cat", "mv", "rm", "wc", "head", "sleep")


@pytest.fixture(params=SHELLS)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = make_machine(tmp_path / "home", request.param)
    yield made
    made.clean()


@pytest.fixture
def repository(machine: Machine) -> Path:
    """One commit, one changed and one new file, and a remote with a password in it."""
    folder = machine.home / "it's a folder"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "train.py").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "remote", "add", "origin", "https://ann:hunter2@example.org/p.git")
    (folder / "train.py").write_text("2")
    (folder / "new\nline").touch()
    return folder


def git(folder: Path, *words: str) -> str:
    command = [
        require_program("git"),
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        *words,
    ]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def told(machine: Machine, job_id: uuid.UUID) -> dict[str, Any]:
    """What is written down once it is, as the report brings it."""
    marker = "0" * 32
    found: list[bytes] = []

    def look() -> bool:
        launch = remote_protocol.report(marker, [], (), [job_id])
        found[:] = machine.run(launch, marker).origins.values()
        return bool(found)

    until(look, "what the run began from")
    return origin.parse(found[0])


def run(machine: Machine, folder: Path, **files: str) -> dict[str, Any]:
    files = {"folder": str(folder), "virtualenv": "", "conda": ""} | files
    return told(machine, machine.start("true", None, **files))


def test_tells_machine_commit_and_python(machine: Machine, repository: Path) -> None:
    found = run(machine, repository)
    assert found["machine"]["host"] == os.uname().nodename
    assert found["machine"]["kernel"].startswith("Linux ")
    assert found["git"] == {
        "commit": git(repository, "rev-parse", "HEAD").strip(),
        "branch": "main",
        "is_dirty": True,
        "changed_files": 2,
        "remote_url": "https://example.org/p.git",
    }
    assert found["python"]["version"].startswith("3.")
    until(lambda: machine.processes() == [])


def test_a_virtualenv_is_the_python_that_is_told(machine: Machine, tmp_path: Path) -> None:
    environment = tmp_path / "a venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    package = next((environment / "lib").glob("python*")) / "site-packages/thing-1.5.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.5\n")
    found = run(machine, machine.home, virtualenv=str(environment))["python"]
    assert found["path"] == str(environment / "bin/python")
    assert found["packages"] == ["thing==1.5"]


def test_no_repository_has_a_reason(machine: Machine) -> None:
    found = run(machine, machine.home)
    assert found["git"] is None
    assert "not a git repository" in found["git_reason"]


def test_a_repository_of_somebody_else_has_a_reason(machine: Machine, repository: Path) -> None:
    variables = "GIT_TEST_ASSUME_DIFFERENT_OWNER=1\n"
    found = run(machine, repository, environment=variables)
    assert found["git"] is None
    assert "dubious ownership" in found["git_reason"]


def test_a_machine_without_git_has_a_reason(machine: Machine) -> None:
    (machine.home / "bin/git").symlink_to("/nowhere")
    for tool in (*TOOLS, "setsid", "grep", "tail"):
        link = machine.home / "bin" / tool
        if not link.exists():
            link.symlink_to(require_program(tool))
    job_id = machine.start("true", virtualenv="")
    told(machine, job_id)
    folder = machine.jobs / str(job_id)
    (folder / "origin").unlink()
    command = [str(machine.home / "bin/sh"), str(folder / "origin.sh"), "inner"]
    path = str(machine.home / "bin")
    variables = {"HOME": str(machine.home), "PATH": path, "DGXSITE_PATH": path}
    subprocess.run(command, env=variables, start_new_session=True, check=False)
    found = origin.parse((folder / "origin").read_bytes())
    assert (found["git"], found["python"]) == (None, None)
    assert found["git_reason"] == "The machine has no git."


def test_a_container_has_no_python_of_the_machine(machine: Machine) -> None:
    assert told(machine, machine.start("true"))["python"] is None


def test_a_virtualenv_that_is_missing_costs_nothing_else(machine: Machine) -> None:
    found = run(machine, machine.home, virtualenv="/nowhere")
    assert found["python"] is None
    assert found["machine"]["host"] == os.uname().nodename


def test_what_a_repository_would_run_is_not_run(machine: Machine, repository: Path) -> None:
    git(repository, "config", "core.fsmonitor", f"touch {machine.home}/ran;")
    assert run(machine, repository)["git"]["changed_files"] == 2
    assert not (machine.home / "ran").exists()


def test_it_waits_for_no_program_that_hangs(machine: Machine) -> None:
    """The command has ended long before."""
    (machine.home / "bin/nvidia-smi").write_text("#!/bin/sh\nexec sleep 600\n")
    (machine.home / "bin/nvidia-smi").chmod(0o755)
    job_id = machine.start("echo done", virtualenv="")
    assert machine.ended(job_id).exit_code == 0
    assert not (machine.jobs / str(job_id) / "origin").exists()
