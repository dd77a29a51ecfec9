"""The superusers' page of what is wrong: it names machine and job, and nobody else sees it."""

from datetime import UTC, datetime

import orjson
import pytest
import redis
from django.test import Client

from accounts.models import Role
from connections.models import Reason, Status
from metrics.collectors.readings import Health, Sample
from metrics.live import store as live_store
from tests import factories
from tests.jobs.rows import make_job, make_project

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def page(db: None, client: Client, redis_client: redis.Redis) -> Client:
    client.force_login(factories.make_user(is_superuser=True, is_staff=True))
    return client


def test_names_what_is_wrong(page: Client, redis_client: redis.Redis) -> None:
    odd = factories.make_connection(name="odd-one", is_active=True, status=Status.CONNECTED)
    sample = Sample(
        NOW,
        health=(
            Health("network", False, "more than 1024 names of <interfaces>"),
            Health("rocm", False, "not found"),
            Health("proc", True),
        ),
    )
    live_store._redis().set(f"dgx:last:{odd.pk}", orjson.dumps({"seq": 1, **sample.as_dict()}))
    factories.make_connection(
        name="dropped-one",
        is_active=True,
        status=Status.ERROR,
        reason=Reason.UNUSABLE_SHELL,
        detail="The site has stopped reading this machine.",
    )
    job = make_job(make_project(odd), name="greedy-job")
    job.metrics = {"scalars_note": "3 KiB of the log took too long to read."}
    job.save(update_fields=["metrics"])
    text = page.get("/status").content.decode()
    for words in (
        "odd-one", "more than 1024 names of &lt;interfaces&gt;", "dropped-one",
        "The site has stopped reading this machine.", "greedy-job", "3 KiB of the log",
    ):  # fmt: skip
        assert words in text
    assert "not found" not in text
    assert "rocm" not in text


def test_says_that_nothing_is_wrong(page: Client) -> None:
    factories.make_connection(is_active=True, status=Status.CONNECTED)
    factories.make_connection(status=Status.DISCONNECTED)
    assert "None of 1 machine that should be connected." in page.get("/status").content.decode()


def test_is_for_superusers(db: None, client: Client) -> None:
    user = factories.make_user(is_staff=True)
    factories.join(user, factories.make_team(), Role.ADMINISTRATOR)
    client.force_login(user)
    assert client.get("/status").status_code == 403
    assert "/status" not in client.get("/palette").content.decode()


def test_is_found_by_superusers(page: Client) -> None:
    assert "/status" in page.get("/palette").content.decode()
    assert 'href="/status"' in page.get("/").content.decode()
