"""A run as a zip: read again by other programs, in flat memory, and without a secret."""

import asyncio
import gc
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psutil
import pyarrow.parquet as pq
import pytest
import redis
from django.db import connection

from core.errors import TooMany
from core.web.slots import Places
from exports import copying
from jobs.log import store as log_store
from jobs.models import Job, JobOrigin, LogChunk, Status
from jobs.report import bundle
from tests.factories import make_connection
from tests.jobs.rows import make_job, make_project
from tests.metrics.stored import ends, machine_of, steady, store
from tests.pages.people import People, make_people

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MIB = 2**20
T = TypeVar("T")
FILES = ["README.txt", "report.json", "config.json", "origin.json"]
FILES += ["metrics.parquet", "scalars.parquet", "log.txt"]


@pytest.fixture(autouse=True)
def _empty(redis_client: "redis.Redis") -> None:
    """No sample of another test."""


@pytest.fixture
def people() -> People:
    return make_people()


def run(people: People | None = None, **fields: Any) -> Job:
    """A run of one minute on GPU 1 of a machine with two."""
    machine = make_connection(people.team if people else None, name="Spark 1")
    job = make_job(make_project(machine), **fields)
    job.move(Status.STARTING, "test", granted=["1"])
    job.move(Status.RUNNING, "test", started_at=START)
    job.move(Status.COMPLETED, "test")
    end = START + timedelta(minutes=1)
    Job.objects.filter(pk=job.pk).update(completed_at=end, log_complete=True)
    return again(job)


def again(job: Job) -> Job:
    """As the database has it now, ready to be shown."""
    rows = Job.objects.select_related("connection__team", "project", "requested_by")
    return rows.get(pk=job.pk)


async def zipped(job: Job) -> zipfile.ZipFile:
    async with aclosing(bundle._zipped(job)) as pieces:
        return zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in pieces])))


def opened(job: Job) -> zipfile.ZipFile:
    return asyncio.run(zipped(job))


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(archive.read(name))).to_pylist()
    return rows


def test_holds_what_there_is_to_say_of_a_run() -> None:
    job = run(name="a run", config={"lr": 0.1, "tokenizer": "gpt2"}, command="python train.py")
    log_store.append(job, b"step=1 loss=3\nstep=2 loss=nan\n\xff\x00end\n", START)
    JobOrigin.objects.create(job=job, data={"git": {"commit": "c" * 40}})
    archive = opened(job)
    assert archive.testzip() is None
    assert archive.namelist() == FILES
    report = json.loads(archive.read("report.json"))
    assert report["job"]["id"] == str(job.pk)
    assert report["machine"] == {"name": "Spark 1"}
    assert [step["to"] for step in report["steps"]] == ["starting", "running", "completed"]
    assert report["printed"] == {"loss": {"step": 2, "value": None}}
    assert json.loads(archive.read("config.json")) == {"lr": 0.1, "tokenizer": "gpt2"}
    assert json.loads(archive.read("origin.json"))["git"] == {"commit": "c" * 40}
    assert archive.read("log.txt") == b"step=1 loss=3\nstep=2 loss=nan\n\xff\x00end\n"
    assert str(job.pk) in archive.read("README.txt").decode()


def test_the_history_of_machine_and_granted_gpus_is_a_table() -> None:
    job = run()
    store(machine_of(job.connection), [steady(at, 120.0, gpus=2) for at in ends(START, 6)])
    rows = table(opened(job), "metrics.parquet")
    assert [row["device"] for row in rows] == ["machine"] * 3 + ["gpu1"] * 3
    assert rows[0]["timestamp"] == START + timedelta(seconds=20)
    assert (rows[0]["cpu_percent_avg"], rows[0]["gpu_sm_clock_mhz_avg"]) == (120.0, None)
    assert (rows[3]["cpu_percent_avg"], rows[3]["gpu_sm_clock_mhz_max"]) == (None, 120.0)


def test_what_was_printed_is_a_table() -> None:
    job = run()
    log_store.append(job, b"step=1 loss=3\nstep=2 loss=nan\nstep=2 acc=0.5\n", START)
    rows = table(opened(job), "scalars.parquet")
    assert rows == [
        {"name": "loss", "step": 1, "value": 3.0, "timestamp": START},
        {"name": "loss", "step": 2, "value": None, "timestamp": START},
        {"name": "acc", "step": 2, "value": 0.5, "timestamp": START},
    ]


def test_of_a_run_that_told_nothing_there_are_empty_files() -> None:
    archive = opened(make_job())
    assert archive.namelist() == FILES
    assert table(archive, "metrics.parquet") == table(archive, "scalars.parquet") == []
    assert json.loads(archive.read("origin.json")) is None
    assert archive.read("log.txt") == b""


def test_no_secret_is_in_it() -> None:
    job = run(
        environment={"HF_TOKEN": "hunter2-value", "MODE": "fast"},
        command="login --with hunter2-value",
        config={"note": "hunter2-value", "wandb": {"api_key": "sesame"}, "max_tokens": 5},
    )
    archive = opened(job)
    for name in archive.namelist():
        data = archive.read(name)
        assert b"hunter2" not in data, name
        assert b"sesame" not in data, name
    assert json.loads(archive.read("config.json"))["max_tokens"] == 5
    assert json.loads(archive.read("report.json"))["job"]["environment"]["MODE"] == "fast"


def fill(job: Job, pieces: int) -> None:
    """A long log as it lies in the database, without writing each piece's history."""
    data = b"%0255d\n" % 0 * 1024
    packed = zlib.compress(data, 1)
    rows = [
        LogChunk(
            job=job,
            offset=number * len(data),
            length=len(data),
            first_line=number * 1024,
            lines=1024,
            data=packed,
        )
        for number in range(pieces)
    ]
    LogChunk.objects.bulk_create(rows, batch_size=64)
    Job.objects.filter(pk=job.pk).update(log_bytes=pieces * len(data), log_lines=pieces * 1024)


async def apart(work: Callable[..., T], *args: Any) -> T:
    """Ask the database on a thread that leaves no connection behind."""

    def done() -> T:
        try:
            return work(*args)
        finally:
            connection.close()

    return await asyncio.to_thread(done)


def run_with_log(pieces: int) -> Job:
    job = run()
    fill(job, pieces)
    return again(job)


async def most_memory(job: Job) -> int:
    """The most that the process has while a bundle passes through."""
    process, most = psutil.Process(), 0
    async with aclosing(bundle._zipped(job)) as pieces:
        async for _ in pieces:
            most = max(most, process.memory_info().rss)
    return most


async def test_memory_stays_flat() -> None:
    short, long = await apart(run_with_log, 8), await apart(run_with_log, 256)
    before = await most_memory(short)
    assert await most_memory(long) - before <= 16 * MIB
    assert long.log_bytes == 64 * MIB


def test_a_place_is_free_again_when_the_reader_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test's client may have left a download open.
    monkeypatch.setattr(copying, "COPIES", Places("bundles", in_all=3, per_person=2))
    job = run()
    answers = [bundle.response(job, person) for person in (1, 1, 2)]
    for person in (1, 3):
        with pytest.raises(TooMany):
            bundle.response(job, person)
    for answer in answers:
        answer.close()
    bundle.response(job, 1).close()


def test_an_answer_that_nobody_closes_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "COPIES", Places("bundles", in_all=1, per_person=1))
    job = run()
    for _ in range(3):
        answer = bundle.response(job, 1)
        del answer
        gc.collect()


async def test_a_reader_that_goes_away_ends_it() -> None:
    body = bundle._zipped(await apart(run_with_log, 64))
    await anext(body)
    await body.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(body)


def test_is_for_those_who_see_the_job(people: People) -> None:
    job = run(people, name="naïve run/1")
    address = f"/api/v1/jobs/{job.pk}/bundle"
    answer = people.guest.get(address)
    assert answer.status_code == 200
    named = answer.headers["Content-Disposition"]
    assert named == f'attachment; filename="na-ve-run-1-{str(job.pk)[:8]}.zip"'
    answer.close()
    assert people.stranger.get(address).status_code == 404
