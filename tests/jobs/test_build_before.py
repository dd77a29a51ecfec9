"""A job that the build before this one has started is read, logged and stopped by this one.

`build_before/` holds the very bytes that the build of 2026-12-01 (commit 25816eb) sent to a
machine: the command line, and what went through its stdin. They are never adjusted; when what a
start puts on a machine changes, the files of the last build take their place.
"""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from connections.models import Connection
from jobs.log import store as log_store
from jobs.models import Job, Status
from jobs.remote.protocol import Launch
from tests.jobs.conftest import ended, status_of
from tests.jobs.machine import SHELLS, Machine, make_machine
from tests.jobs.rows import make_job, make_project
from tests.waiting import until

JOB_ID = uuid.UUID("0a3f2c1e-5d47-4b8a-9c60-7e1d2f3a4b5c")
_SENT = Path(__file__).parent / "build_before"


def start_as_before(machine: Machine) -> None:
    """Start the job with what the build before sent; it says `ready`, and `bye` when stopped."""
    command = (_SENT / "start.command").read_text("ascii")
    done = machine.execute(Launch(command, (_SENT / "start.stdin").read_bytes()))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_and_stops_it(tmp_path: Path, shell: str) -> None:
    machine = make_machine(tmp_path / "home", shell)
    try:
        start_as_before(machine)
        seen = machine.until(JOB_ID, lambda seen: seen.log == b"ready\n")
        assert (seen.is_alive, seen.is_supervised) == (True, True)
        machine.stop(JOB_ID)
        seen = machine.ended(JOB_ID)
        assert (seen.exit_code, seen.ending, seen.log) == (3, "stop", b"ready\nbye\n")
        until(lambda: machine.processes() == [])
    finally:
        machine.clean()


def test_a_keeper_goes_on_with_it(
    machine_row: Connection, start_keeper: Callable[..., object], tmp_path: Path
) -> None:
    start_as_before(make_machine(tmp_path / "home" / "before"))
    (tmp_path / "home/.dgxsite").symlink_to(tmp_path / "home/before/.dgxsite")
    job = make_job(make_project(machine_row, "/"), id=JOB_ID)
    job.move(Status.STARTING, "keeper", granted=[])
    start_keeper()
    until(lambda: status_of(job) == Status.RUNNING, "it is seen to run")
    until(lambda: log_store.read(job, 0, 100) == b"ready\n", "its log arrives")
    Job.objects.get(pk=job.pk).request_stop()
    ended(job)
    assert (job.status, job.exit_code) == (Status.STOPPED, 3)
    assert log_store.read(job, 0, 100) == b"ready\nbye\n"
