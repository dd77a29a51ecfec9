"""A job that ends while its machine is being asked: never without its end, never without its log.

Programs that the report calls are replaced by ones that end the job in the very middle of it.
"""

import shutil
import uuid
from pathlib import Path

import pytest

from tests.jobs.machine import Machine, make_machine

_STAT = "1 1 boot\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path / "home")


def begun(machine: Machine) -> tuple[uuid.UUID, Path]:
    """A job that runs, as far as its folder says."""
    job_id = uuid.uuid4()
    folder = machine.jobs / str(job_id)
    folder.mkdir(parents=True)
    for name in ("supervisor", "started"):
        (folder / name).write_text(_STAT)
    (folder / "log").write_text("first\n")
    return job_id, folder


def meddle(machine: Machine, program: str, text: str) -> None:
    """Whoever calls `program` runs `text`, in which `real` is the true one."""
    path = machine.home / "bin" / program
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\nreal={shutil.which(program)}\n{text}\n")
    path.chmod(0o755)


def test_what_ends_while_it_is_looked_for_has_ended(machine: Machine) -> None:
    job_id, folder = begun(machine)
    meddle(
        machine, "cat", f'case $1 in */stat) echo "0 " >{folder}/exit; exit 1;; esac\n$real "$@"'
    )
    seen = machine.see(job_id)
    assert (seen.is_alive, seen.exit_code) == (False, 0)


def test_an_end_that_is_seen_comes_with_the_whole_log(machine: Machine) -> None:
    job_id, folder = begun(machine)
    meddle(machine, "wc", f'$real "$@"\necho last >>{folder}/log\necho "0 " >{folder}/exit')
    assert machine.see(job_id).exit_code is None
    assert machine.see(job_id).log.startswith(b"first\nlast\n")
