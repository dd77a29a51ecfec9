"""Energy, utilisation and memory of a run: from the live ring, by hand, and from the history."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis

from connections.models import Connection
from jobs.keeper import usage as keeper_usage
from jobs.log import store as log_store
from jobs.models import Job, JobMeasure, Status
from jobs.queue.gpu_history import History
from jobs.results import ingest as results_ingest
from jobs.results import summary as results_summary
from jobs.results import usage as results_usage
from metrics.collectors.readings import MigDevice, Process
from metrics.history.buffer import Unsaved
from metrics.live import store as live_store
from tests.factories import make_connection
from tests.jobs.rows import make_job, make_project
from tests.metrics.machines import make_gpu, make_sample
from tests.metrics.stored import ends, machine_of, steady, store
from usage.models import UsageSettings

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty(redis_client: "redis.Redis") -> None:
    """No sample of another test."""


def watts(seconds: float) -> float:
    """What the machine's GPU draws at a moment."""
    return 300.0 + 200.0 * math.sin(seconds / 5.0)


def show(machine: Connection, at: datetime, power: float | None, **gpu: Any) -> None:
    """One sample of two GPUs into the live ring; the second is another's."""
    own = {"power_watts": power, "utilization_percent": 50.0}
    gpus = (make_gpu(0, **(own | gpu)), make_gpu(1, power_watts=9999.0, utilization_percent=100.0))
    recorder = live_store.Recorder(Unsaved())
    sample = replace(make_sample(at), gpus=gpus)
    recorder.add(machine.pk, machine.team_id, 1, sample)
    recorder.flush({machine.pk: 1})


def run(started: datetime, completed: datetime | None = None, granted: str = "0") -> Job:
    """A job that runs, or has run, on a machine that nobody else looks after."""
    job = make_job(make_project(make_connection(epoch=1)))
    job.move(Status.STARTING, "test", granted=[granted])
    job.move(Status.RUNNING, "test", started_at=started)
    if completed is not None:
        job.move(Status.COMPLETED, "test")
        Job.objects.filter(pk=job.pk).update(completed_at=completed)
    return Job.objects.get(pk=job.pk)


@pytest.mark.parametrize("length", [7.3, 33.0, 100.9])
def test_energy_is_the_integral_of_what_the_machine_reported(length: float) -> None:
    start = START + timedelta(seconds=10.7)
    job = run(start, start + timedelta(seconds=length))
    for shown in range(0, int(length) + 25, 2):
        now = START + timedelta(seconds=shown)
        show(job.connection, now, watts(shown))
        if shown % 20 == 0:  # again and again: no sample counts twice
            keeper_usage.measure_held_jobs([job.connection_id], now)
    keeper_usage.measure_held_jobs([job.connection_id], now)
    fine = 10_000
    step = length / fine
    exact = sum(watts(10.7 + (n + 0.5) * step) for n in range(fine)) * step / 3600
    row = JobMeasure.objects.get()
    assert row.is_closed
    found = row.joules / 3600
    print(f"{100 * (found / exact - 1):+.2f} %")
    assert found == pytest.approx(exact, rel=0.02)
    assert row.power_seconds == pytest.approx(length, abs=1e-6)
    assert row.busy / row.percent_seconds == pytest.approx(50.0)
    job.refresh_from_db()
    assert job.metrics["energy_wh"] == pytest.approx(found)


def test_adds_nothing_for_a_time_without_samples() -> None:
    job = run(START, START + timedelta(seconds=60))
    for seconds in (0, 2, 4, 40, 42):
        show(job.connection, START + timedelta(seconds=seconds), 3600.0)
    row = results_usage.measure(job, START + timedelta(seconds=90))
    assert row.power_seconds == 6.0
    assert row.joules == 6 * 3600.0


def test_absent_power_is_absent() -> None:
    job = run(START)
    for seconds in (0, 2, 4):
        show(job.connection, START + timedelta(seconds=seconds), None)
    results_usage.measure(job, START)
    found = results_summary.as_dict(job)
    assert (found["energy_wh"], found["cost"], found["mean_gpu_percent"]) == (None, None, 50.0)


def test_a_slice_has_no_energy_of_its_own() -> None:
    job = run(START, granted="MIG-1")
    slices = (MigDevice(0, "MIG-1"),)
    show(job.connection, START, 1.0, mig=slices)
    show(job.connection, START + timedelta(seconds=2), 1.0, mig=slices)
    found = results_summary.as_dict(job)
    assert (found["energy_wh"], found["mean_gpu_percent"]) == (None, None)
    assert found["series"]["gpus"] == {}


def test_the_peak_is_that_of_its_own_processes() -> None:
    history, mine, other = History(), uuid4(), uuid4()
    processes = (
        Process("GPU-0", 1, "python", "ml", None, 300),
        Process("GPU-0", 2, "python", "ml", None, 50),
        Process("GPU-0", 3, "python", "ml", None, 9000),
        Process("GPU-0", 4, "python", "ml", f"dgxsite-{other}", 70),
    )
    history.note(make_sample(START, processes=processes))
    assert history.peak(mine) is None
    history.learn_owners({1: mine, 2: mine, 3: None})
    assert (history.peak(mine), history.peak(other)) == (350, 70)
    history.note(make_sample(START, processes=processes[1:]))
    assert history.peak(mine) == 350


def test_a_peak_that_was_seen_stays() -> None:
    job = run(START)
    results_usage.measure(job, START, peak=500)
    results_usage.measure(job, START, peak=400)
    assert results_usage.measure(job, START).peak_memory_bytes == 500


def test_where_no_sample_was_seen_the_history_answers() -> None:
    job = run(START + timedelta(seconds=5), START + timedelta(seconds=65))
    store(machine_of(job.connection), [steady(at, 120.0, gpus=2) for at in ends(START, 4)])
    UsageSettings(price_per_kwh=0.5, currency="EUR").save()
    found = results_summary.as_dict(job)
    assert found["energy_wh"] == pytest.approx(120.0 * 60 / 3600, abs=1e-4)
    assert (found["measured_seconds"], found["mean_gpu_percent"]) == (60.0, 120.0)
    assert (found["cost"], found["currency"]) == (0.001, "EUR")
    series = found["series"]
    assert list(series["gpus"]) == ["0"]
    assert 120.0 in series["gpus"]["0"]["gpu_power_watts"]["avg"]
    assert len(series["timestamp"]) == len(series["machine"]["cpu_percent"]["avg"])


def test_scalars_follow_the_log() -> None:
    job = run(START)
    log_store.append(job, b"step=1 loss=3\nstep=2 los", START)
    assert results_ingest.catch_up_all() == 1
    job.refresh_from_db()
    assert job.metrics["scalars"] == {"loss": 3.0}
    log_store.append(job, b"s=2.5\n" + b"noise\n" * 400_000 + b"loss=nan step=9", START)
    found = results_summary.as_dict(job)
    assert found["scalars"]["loss"]["value"] == [3.0, 2.5]
    assert found["scalars_complete"] is False
    Job.objects.filter(pk=job.pk).update(log_complete=True)
    job.refresh_from_db()
    found = results_summary.as_dict(job)
    assert found["scalars"]["loss"]["step"] == [1, 2, 9]
    assert found["scalars"]["loss"]["value"][-1] is None
    assert found["scalars"]["loss"]["timestamp"][0] == "2026-11-20T12:00:00.000Z"
    assert found["scalars_complete"] is True


def test_of_a_long_log_each_look_reads_a_piece() -> None:
    job = run(START)
    log_store.append(job, b"loss=1\n" * 400_000, START)
    first = results_ingest.catch_up(job, most=2**20)
    assert 0 < first.offset < job.log_bytes
    while results_ingest.catch_up(job, most=2**20).offset < job.log_bytes:
        pass
    assert results_ingest.catch_up(job).curves.by_name["loss"].seen == 400_000


def test_before_the_start_there_is_nothing() -> None:
    found = results_summary.as_dict(make_job())
    assert (found["start"], found["energy_wh"], found["scalars"]) == (None, None, {})
