"""Jobs that ask for GPUs, on a real sshd with a fake `nvidia-smi`: wait, get, see what they got."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from connections.keeper.keeper import Keeper
from jobs.log import store as log_store
from jobs.models import Job, Status
from tests import sshd
from tests.collectors.machine import CAPTURES, make_machine
from tests.connections.test_keeper import machine as make_machine_row
from tests.jobs.conftest import ended
from tests.jobs.machine import Machine
from tests.jobs.rows import make_job, make_project
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

Submit = Callable[..., Job]
_FOLDER = "nvidia-smi-csv/h100-linux-590"


@pytest.fixture
def submit(site: Keeper, settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Submit]]:
    """Queue jobs on a machine that plays a capture."""
    settings.JOBS_SECONDS = settings.JOBS_IDLE_SECONDS = 0.1
    servers: list[sshd.Sshd] = []

    def playing(capture: str, **more: Any) -> Submit:
        tools = make_machine(tmp_path)
        tools.play(capture, **more)
        home = tmp_path / "home"
        home.mkdir()
        environment = {"PATH": f"{tools.bin}:{os.environ['PATH']}", "HOME": str(home)}
        servers.append(sshd.start(tmp_path / "sshd", environment=environment))
        project = make_project(make_machine_row(servers[0]), home)
        site.wake()
        return lambda command, **fields: make_job(project, command=command, **fields)

    yield playing
    for server in servers:
        server.stop()
    Machine(tmp_path / "home").clean()


def test_an_idle_gpu_is_granted_and_shown_to_the_job(submit: Callable[..., Submit]) -> None:
    put = submit(f"{_FOLDER}.query-gpu-all.idle.csv")
    job = put('echo "$CUDA_VISIBLE_DEVICES"', gpus=1)
    behind = put("true", gpus=["7", 9])
    ended(job)
    assert (job.status, job.granted) == (Status.COMPLETED, ["0"])
    assert b"".join(log_store.every_piece(job)) == b"0\n"
    until(lambda: "has no GPU 7, 9" in Job.objects.get(pk=behind.pk).waiting_reason)


def test_a_gpu_that_others_use_is_not(submit: Callable[..., Submit]) -> None:
    apps = str(CAPTURES / f"{_FOLDER}.compute-apps.load.csv")
    put = submit(f"{_FOLDER}.query-gpu-all.load.csv", compute_apps=apps)
    job, other = put("true", gpus=1), put("true", gpus=0)
    ended(other)
    until(lambda: "GPU 0 is used by" in Job.objects.get(pk=job.pk).waiting_reason)
    job.refresh_from_db()
    assert job.status == Status.QUEUED
