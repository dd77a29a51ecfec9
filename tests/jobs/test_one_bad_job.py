"""One bad job stops no other of its machine: what failed is said on its row, and goes on later."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs import lifecycle as jobs_lifecycle
from jobs.keeper import reconciler
from jobs.models import Job, Status
from tests.faults.poison import cure, poison
from tests.jobs.conftest import ended, status_of
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]


@pytest.fixture
def spoilt() -> Iterator[Callable[[Job], None]]:
    """From now on no step of this job can be written, until the end of the test."""

    def spoil(job: Job) -> None:
        poison("jobs_jobchange", job.pk, "job_id")

    yield spoil
    cure("jobs_jobchange")


def test_a_secret_that_nobody_can_read_ends_no_other_job(
    start_keeper: Callable[..., object], submit: Submit
) -> None:
    """The older jobs of the machine are written down, and so is the end of this one."""
    older = submit("while [ ! -e go ]; do sleep 0.1; done; touch gone")
    bad = submit("while [ ! -e go ]; do sleep 0.1; done; exit 3", max_retries=2)
    start_keeper()
    until(lambda: {status_of(older), status_of(bad)} == {Status.RUNNING}, "both run")
    Job.objects.filter(pk=bad.pk).update(environment_encrypted="no secret of ours")
    _go(bad)
    assert ended(bad).status == Status.FAILED
    assert ended(older).status == Status.COMPLETED
    assert jobs_lifecycle._NOT_TRIED_AGAIN in bad.detail
    assert not Job.objects.filter(retry_of=bad).exists()


def test_a_job_whose_end_cannot_be_written_says_so_and_ends_later(
    start_keeper: Callable[..., object],
    submit: Submit,
    spoilt: Callable[[Job], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = submit("while [ ! -e go ]; do sleep 0.1; done")
    good = submit("while [ ! -e go ]; do sleep 0.1; done")
    start_keeper()
    until(lambda: {status_of(bad), status_of(good)} == {Status.RUNNING}, "both run")
    spoilt(bad)
    _go(bad)
    assert ended(good).status == Status.COMPLETED
    until(lambda: _detail(bad) == reconciler._NOT_WRITTEN, "the row says so")
    assert str(bad.pk) in caplog.text
    cure("jobs_jobchange")
    assert ended(bad).status == Status.COMPLETED
    assert bad.detail == ""


def _go(job: Job) -> None:
    """Let what waits in the home folder go on."""
    Path(job.project.remote_path, "go").touch()


def _detail(job: Job) -> str:
    return Job.objects.get(pk=job.pk).detail
