"""The tab Container of a job: what docker says over a real OpenSSH server, and what it refuses."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.models import Job, Status
from jobs.pages import container as pages_container
from tests import factories, sshd
from tests.jobs.rows import make_job, make_project
from tests.pages.people import People, make_people

ID = "4f" * 32
RUNNING = (
    '{"Status":"running","ExitCode":0,"OOMKilled":false,'
    '"StartedAt":"2026-11-22T08:00:00.123456789Z","FinishedAt":"0001-01-01T00:00:00Z"}\n'
    '{"8080/tcp":[{"HostIp":"0.0.0.0","HostPort":"80"}],"6006/tcp":null}\n'
    f'"{ID}"\n"sha256:{"ab" * 32}"\n'
)


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A docker of the test's own: `says` and `status` beside it are its answer."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{folder}/asked\ncat {folder}/says\n'
        f"cat {folder}/refuses >&2\nexit $(cat {folder}/status)\n"
    )
    program.chmod(0o755)
    answer(folder, RUNNING)
    return folder


def answer(folder: Path, says: str = "", refuses: str = "", status: int = 0) -> None:
    (folder / "says").write_text(says)
    (folder / "refuses").write_text(refuses)
    (folder / "status").write_text(str(status))


@pytest.fixture
def server(tmp_path: Path, docker: Path) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path / "sshd", environment={"PATH": f"{docker}:/usr/bin:/bin"})
    yield running
    running.stop()


@pytest.fixture
def people(db: None, redis_client: object) -> Iterator[People]:
    cache.clear()
    yield make_people()
    cache.clear()


@pytest.fixture
def job(people: People, server: sshd.Sshd, settings: Settings) -> Job:
    settings.ALLOW_LOOPBACK = True
    machine = factories.make_connection(
        people.team, hostname="127.0.0.1", port=server.port, status="connected"
    )
    machine.username, machine.host_key = server.user, server.host_key_fingerprint
    machine.auth_method = "key"
    machine.set_secret("private_key", server.client_key)
    machine.save()
    row = make_job(make_project(machine), kind="container", image="pytorch/pytorch:2.9")
    row.environment = {"HF_TOKEN": "hunter22"}
    row.save()
    row.move(Status.STARTING, "test")
    row.move(Status.RUNNING, "test", started_at=timezone.now(), container_id=ID)
    return row


def ask(client: Client, job: Job) -> str:
    shown: Any = client.get(f"/jobs/{job.pk}/?tab=container&ask=1")
    return str(shown.content.decode())


def test_shows_what_the_site_knows_without_asking(people: People, job: Job, docker: Path) -> None:
    page = people.boss.get(f"/jobs/{job.pk}/?tab=container").content.decode()
    assert "pytorch/pytorch:2.9" in page
    assert pages_container.name_of(job) in page
    assert f'data-copy="{ID}"' in page
    assert "docker run --rm" in page
    assert 'hx-trigger="load"' in page
    assert "hunter22" not in page
    assert not (docker / "asked").exists()


def test_asks_docker_once_for_the_few_facts(people: People, job: Job, docker: Path) -> None:
    page = ask(people.boss, job)
    assert "running" in page
    assert "0.0.0.0:80 → 8080/tcp" in page
    assert "6006/tcp" in page
    ask(people.boss, job)
    (asked, *rest) = (docker / "asked").read_text().split("inspect")[1:]
    assert rest == []
    assert pages_container.name_of(job) in asked
    assert "Env" not in asked
    fragment = people.boss.get(
        f"/jobs/{job.pk}/?tab=container&ask=1", headers={"HX-Request": "true"}
    ).content.decode()
    assert "<html" not in fragment
    assert "8080/tcp" in fragment


@pytest.mark.parametrize(
    ("refuses", "status", "said"),
    [
        ("Error response from daemon: No such container: x", 1, "It is gone"),
        ("permission denied while trying to connect to the docker API", 1, "may not use docker"),
        ("sh: docker: not found", 127, "The machine has no docker."),
        ("<b>odd</b>\n", 1, "&lt;b&gt;odd&lt;/b&gt;"),
        ("", 1, "refused to answer"),
        ("", 0, "something else than expected"),
    ],
)
def test_says_what_docker_refuses(
    people: People, job: Job, docker: Path, refuses: str, status: int, said: str
) -> None:
    answer(docker, "", refuses, status)
    assert said in ask(people.boss, job)


def test_only_who_may_use_the_machine_asks_it(people: People, job: Job, docker: Path) -> None:
    page = ask(people.guest, job)
    assert "pytorch/pytorch:2.9" in page
    assert "needs the role operator" in page
    assert not (docker / "asked").exists()


def test_a_command_has_no_container(people: People, job: Job, docker: Path) -> None:
    command = make_job(job.project, started_at=timezone.now())
    assert "This job is a command" in ask(people.boss, command)
    assert "tab=container" not in people.boss.get(f"/jobs/{command.pk}/").content.decode()
    assert not (docker / "asked").exists()


def test_reads_an_end_and_a_strange_answer() -> None:
    ended = RUNNING.replace("running", "exited").replace('"ExitCode":0', '"ExitCode":137')
    ended = ended.replace("0001-01-01T00:00:00Z", "2026-11-22T09:00:00Z").replace("false", "true")
    seen = pages_container.parse(ended)
    assert (seen["exit_code"], seen["out_of_memory"]) == (137, True)
    assert seen["finished_at"] == datetime(2026, 11, 22, 9, tzinfo=UTC)
    deep = "[" * 100_000
    late = RUNNING.replace("2026-11-22T08:00:00.123456789Z", "9999-12-31T23:59:59-12:00")
    for text in ("", "null\n" * 4, "[1]\n{}\n1\n2", "{", RUNNING * 2, deep, late):
        assert "problem" in pages_container.parse(text)


def test_what_no_page_can_hold_is_left_out() -> None:
    odd = RUNNING.replace(ID, "\\ud800" + "x" * 1000).replace('"running"', '"a\\u0000b"')
    ports = ",".join(f'"{number}/tcp":null' for number in range(1000))
    seen = pages_container.parse(odd.replace('"6006/tcp":null', ports))
    assert seen["id"] == " " + "x" * 299
    assert seen["state"] == "a b"
    assert len(seen["ports"]) == 100
