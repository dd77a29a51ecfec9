"""From a row in the queue to its end, over a real OpenSSH server, with a real keeper."""

from collections.abc import Callable

import pytest

from connections.keeper import Keeper
from jobs import logs
from jobs.models import Job
from jobs.states import Status
from tests.jobs.conftest import ended

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
StartKeeper = Callable[[], Keeper]


def statuses(job: Job) -> list[str]:
    return list(job.changes.values_list("to_status", flat=True))


def log_of(job: Job) -> bytes:
    return b"".join(logs.every_piece(job))


def test_runs_a_job_and_keeps_its_log(submit: Submit, start_keeper: StartKeeper) -> None:
    job = submit("echo hello; pwd; exit 3")
    start_keeper()
    ended(job)
    assert (job.status, job.reason, job.exit_code) == (Status.FAILED, "exit_code", 3)
    assert log_of(job) == b"hello\n" + job.project.resolved_path.encode() + b"\n"
    assert statuses(job)[0] == "starting"
    assert statuses(job)[-1] == "failed"
    assert (job.log_bytes, job.log_lines, job.log_complete) == (len(log_of(job)), 2, True)
    assert job.started_at is not None
    assert job.completed_at is not None
