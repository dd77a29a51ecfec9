"""A keeper with the jobs' agent, and real machines for it."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from connections.keeper import keeper as keeping
from connections.models import Connection
from jobs.keeper import agent
from jobs.models import Job
from tests import sshd
from tests.connections.conftest import show_life
from tests.connections.test_keeper import machine as make_machine_row
from tests.jobs.machine import Machine
from tests.jobs.rows import make_job, make_project
from tests.waiting import until


@pytest.fixture
def quick(settings: Settings) -> None:
    """All waits shortened; connections to loopback allowed."""
    settings.TIME_SCALE = 0.1
    settings.SAMPLE_SECONDS = 0.2
    settings.JOBS_SECONDS = 0.1
    settings.JOBS_IDLE_SECONDS = 0.2
    settings.KEEPER_TTL_SECONDS = 2.0
    settings.RECONNECT_SECONDS = (0.1, 3.0)
    settings.ALLOW_LOOPBACK = True


@pytest.fixture
def host(tmp_path: Path) -> Iterator[sshd.Sshd]:
    """An sshd whose user has a home folder of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    running = sshd.start(tmp_path / "sshd", environment={"HOME": str(home)})
    yield running
    running.stop()
    Machine(home).clean()


@pytest.fixture
def start_keeper(quick: None, transactional_db: None) -> Iterator[Callable[..., keeping.Keeper]]:
    """Starts keepers with agents of their own; they end with the test."""
    running: list[keeping.Keeper] = []
    agents: list[agent.JobAgent] = []
    attached = ExitStack()

    def start() -> keeping.Keeper:
        job_agent = agent.JobAgent()
        agents.append(job_agent)
        attached.enter_context(keeping.on_connected.only(show_life, job_agent.attach))
        keeper = keeping.Keeper()
        keeper.start()
        running.append(keeper)
        return keeper

    yield start
    for one in running:
        one.stop()
    attached.close()
    for job_agent in agents:
        # A session that was being opened when its keeper was killed belongs to nobody.
        for link in list(job_agent._places):
            link.close()
        until(lambda job_agent=job_agent: job_agent._thread is None)  # type: ignore[misc]


@pytest.fixture
def machine_row(transactional_db: None, host: sshd.Sshd) -> Connection:
    return make_machine_row(host)


@pytest.fixture
def submit_on(transactional_db: None) -> Callable[..., Job]:
    """Queue a job on a machine, in a folder of it."""

    def put(connection: Connection, folder: Path, command: str, **fields: object) -> Job:
        return make_job(make_project(connection, folder), command=command, **fields)

    return put


@pytest.fixture
def submit(
    machine_row: Connection, submit_on: Callable[..., Job], tmp_path: Path
) -> Callable[..., Job]:
    """Queue a job on `host`, in its home folder."""
    return functools.partial(submit_on, machine_row, tmp_path / "home")


def status_of(job: Job) -> str:
    """The status as it stands in the database."""
    return Job.objects.get(pk=job.pk).status


def ended(job: Job) -> Job:
    """The job once it is final."""

    def look() -> bool:
        job.refresh_from_db()
        return job.is_final

    until(look, f"the end of {job}")
    return job
