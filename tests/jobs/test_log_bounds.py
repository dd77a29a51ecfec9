"""What a machine may make us keep: no more than a limit, no faster than a budget, and all of it
again after a crash of the database.
"""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection as database
from pytest_django import Settings

from connections.keeper.keeper import Keeper
from jobs.keeper import log_budget, recorder
from jobs.log import store as log_store
from jobs.models import Job, Status
from tests.jobs.conftest import ended
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
StartKeeper = Callable[[], Keeper]


def log_of(job: Job) -> bytes:
    return b"".join(log_store.every_piece(job))


def test_a_log_that_is_larger_than_its_machine_should_let_it_be(
    submit: Submit, start_keeper: StartKeeper, settings: Settings, tmp_path: Path
) -> None:
    settings.JOB_LOG_LIMIT_BYTES = 50_000
    job = submit("echo begun; until [ -e $HOME/go ]; do sleep 0.1; done; exit 4")
    start_keeper()
    until(lambda: Job.objects.get(pk=job.pk).log_bytes > 0)
    with (tmp_path / f"home/.dgxsite/jobs/{job.pk}/log").open("ab") as log:
        log.write(b"y" * 3_000_000)
    until(lambda: log_store.is_full(Job.objects.get(pk=job.pk)))
    (tmp_path / "home/go").touch()
    ended(job)
    assert (job.status, job.exit_code, job.log_complete) == (Status.FAILED, 4, True)
    text = log_of(job)
    assert text.startswith(b"begun\n" + b"y" * 49_994 + b"\n[dgxsite: a log is kept up to 49 KiB")
    assert len(text) == job.log_bytes < 50_100


def test_a_running_job_whose_newest_lines_were_lost(
    submit: Submit,
    start_keeper: StartKeeper,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(recorder, "WHOLE_SECONDS", 5.0)  # half a second here
    job = submit("seq 2000; until [ -e $HOME/go ]; do sleep 0.1; done; echo end")
    start_keeper()
    whole = "".join(f"{number}\n" for number in range(1, 2001)).encode()
    until(lambda: log_of(job) == whole)
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_logchunk_fresh")  # as the database's recovery does
    assert log_of(job) != whole
    until(lambda: log_of(job) == whole, "it is read again although the job is quiet")
    (tmp_path / "home/go").touch()
    ended(job)
    assert log_of(job) == whole + b"end\n"
    assert (job.log_bytes, job.log_lines) == (len(whole) + 4, 2001)


def test_what_exceeds_a_machines_budget_comes_later_and_is_not_lost(
    submit: Submit, start_keeper: StartKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_budget, "BYTES_PER_MINUTE", 3_000_000)
    job = submit("seq 500000")
    start_keeper()
    until(lambda: Job.objects.get(pk=job.pk).log_bytes > 0)
    began = time.monotonic()
    ended(job)
    assert log_of(job) == "".join(f"{number}\n" for number in range(1, 500_001)).encode()
    assert time.monotonic() - began > 5, "388,895 bytes at 50,000 a second"


def test_a_budget_fills_up_evenly_and_never_holds_more_than_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = log_budget.Budget(6_000_000)
    assert budget.left() == 6_000_000
    budget.spend(6_500_000)
    assert budget.left() == 0
    now += 5
    assert budget.left() == 0, "too little to ask for"
    now += 5
    assert budget.left() == 500_000
    now += 3600
    assert budget.left() == 6_000_000


def test_a_machine_keeps_its_budget_when_it_ends_its_session() -> None:
    machine = uuid4()
    log_budget.of(machine).spend(10**12)
    assert log_budget.of(machine).left() == 0
    assert log_budget.of(uuid4()).left() > 0
