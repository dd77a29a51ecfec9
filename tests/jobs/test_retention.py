"""Every waiting job says why, also when the agent of its machine does not run."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from connections.models import Connection, Status
from jobs.keeper import agent, unreachable
from jobs.keeper.reconciler import Reconciler
from jobs.models import Job
from tests.connections.test_superseded import a_link
from tests.factories import make_connection
from tests.jobs.rows import make_job, make_project
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job_agent() -> Iterator[agent.JobAgent]:
    job_agent = agent.JobAgent()
    yield job_agent
    for link in list(job_agent._places):
        link.close()
    job_agent.wake()
    until(lambda: job_agent._thread is None)


def waiting_job(since_seconds: float, *, reason: str = "") -> Job:
    """A job that waits on a connected machine for so long."""
    then = timezone.now() - timedelta(seconds=since_seconds)
    machine = make_connection(is_active=True)
    Connection.objects.filter(pk=machine.pk).update(
        status=Status.CONNECTED, connected_at=then, epoch=1
    )
    return make_job(make_project(machine), gpus=0, queued_at=then, waiting_reason=reason)


@pytest.mark.parametrize("reason", ["", "The machine is not connected."])
def test_a_job_that_nobody_looks_at_says_so(reason: str) -> None:
    job, fresh = waiting_job(60, reason=reason), waiting_job(0)
    unreachable.mark_unseen()
    job.refresh_from_db()
    assert job.waiting_reason == "The queue of this machine has not been looked at yet."
    fresh.refresh_from_db()
    assert fresh.waiting_reason == ""
    assert unreachable.forgotten([job.connection_id, fresh.connection_id]) == {
        job.connection_id: job.pk
    }


def test_a_reason_that_a_keeper_gave_stays() -> None:
    job = waiting_job(60, reason="GPU 0 is used by somebody else.")
    unreachable.mark_unseen()
    job.refresh_from_db()
    assert job.waiting_reason == "GPU 0 is used by somebody else."
    assert unreachable.forgotten([job.connection_id]) == {}


def test_an_agent_that_has_ended_is_told_of_and_started_again(
    job_agent: agent.JobAgent, caplog: pytest.LogCaptureFixture
) -> None:
    job = waiting_job(60)
    job_agent.attach(a_link(job.connection_id))
    until(lambda: _status(job) == "starting", "the queue is looked at")
    assert f"job={job.pk} waits without a reason: the agent of its machine does not run" in (
        caplog.text
    )


def test_an_agent_that_hangs_is_told_of_and_replaced(
    job_agent: agent.JobAgent, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, rounds = threading.Event(), []
    really = Reconciler.reconcile

    def hang_once(reconciler: Reconciler) -> float | None:
        rounds.append(reconciler)
        if len(rounds) == 1:
            goes_on.wait(60)
        return really(reconciler)

    monkeypatch.setattr(Reconciler, "reconcile", hang_once)
    monkeypatch.setattr(agent, "LONGEST_ROUND_SECONDS", 0.5)
    job = waiting_job(60)
    link = a_link(job.connection_id)
    job_agent.attach(link)
    until(lambda: rounds, "the first worker")
    first = job_agent._places[link].worker
    until(lambda: _status(job) == "starting", "another worker looks at the queue")
    assert "hangs; it is started again" in caplog.text
    assert first is not None
    goes_on.set()
    until(lambda: not first.is_alive(), "the first worker ends when it can")


def _status(job: Job) -> str:
    return Job.objects.get(pk=job.pk).status
