"""A keeper that dies at each dangerous place: the job starts once and ends as the machine says."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from connections.keeper.keeper import Keeper
from jobs.log import store as log_store
from jobs.models import Job, Status
from tests.jobs.conftest import ended, status_of
from tests.jobs.test_whole_path import stop
from tests.metrics.private import psycopg_address
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
StartKeeper = Callable[[], Keeper]

_KEEPER = """
import time
import django
django.setup()
from connections.keeper import process
from dgxsite import wiring
wiring.connect_keeper()
process.start()
time.sleep(120)
"""


def doomed_keeper(place: str) -> "subprocess.Popen[bytes]":
    """A keeper in a process of its own that kills itself at `place`."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dgxsite.settings",
        "DATABASE_URL": psycopg_address(),
        "REDIS_URL": settings.REDIS_URL,
        "DGX_ALLOW_LOOPBACK": "1",
        "DGX_TIME_SCALE": "0.25",
        "DGX_FAIL_AT": place,
    }
    return subprocess.Popen([sys.executable, "-c", _KEEPER], env=environment)


@pytest.mark.parametrize("place", ["pre_start", "post_send", "pre_commit", "post_commit"])
def test_a_job_starts_once(
    submit: Submit, start_keeper: StartKeeper, tmp_path: Path, place: str
) -> None:
    job = submit("echo started >>$HOME/oracle; echo out; exit 6")
    child = doomed_keeper(place)
    assert child.wait(60) == -signal.SIGKILL
    assert (status_of(job) == Status.STARTING) == (place != "post_commit")
    start_keeper()
    ended(job)
    assert (job.status, job.exit_code) == (Status.FAILED, 6)
    assert b"".join(log_store.every_piece(job)) == b"out\n"
    assert (tmp_path / "home/oracle").read_text() == "started\n"


def test_a_stop_is_carried_through(submit: Submit, start_keeper: StartKeeper) -> None:
    job = submit("trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done")
    child = doomed_keeper("mid_stop")
    until(lambda: Job.objects.get(pk=job.pk).log_bytes > 0)
    stop(job)
    assert child.wait(60) == -signal.SIGKILL
    start_keeper()
    ended(job)
    assert (job.status, job.exit_code) == (Status.STOPPED, 8)
