"""The clock in one process, a keeper in another: the broadcast tick arrives."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.conf import settings
from django.db import connection

from connections import wakeup
from connections.models import Connection, Keeper
from core.background import heartbeats
from dgxsite.up import children
from tests.factories import make_connection
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

START_SECONDS = 40.0


@contextmanager
def celery(*arguments: str, time_scale: float = 0.25) -> Iterator["subprocess.Popen[bytes]"]:
    """A Celery program over this test's database and Redis."""
    database = connection.settings_dict
    address = f"postgresql:///{database['NAME']}?host={database['HOST']}&user=postgres"
    environment = os.environ | {"DATABASE_URL": address, "DGX_TIME_SCALE": str(time_scale)}
    environment["DJANGO_SETTINGS_MODULE"] = "dgxsite.settings"
    argv = [sys.executable, "-m", "celery", "--quiet", "-A", "dgxsite", *arguments]
    child = children.start(argv, env=environment)
    try:
        yield child
    finally:
        children.stop(child, signal.SIGTERM, 15)


def test_ticks_reach_a_keeper_in_another_process(redis_client: redis.Redis) -> None:
    worker = ("worker", "-P", "threads", "-c", "4", "-Q", "tick", "--without-gossip")
    with celery(*worker, "--without-mingle"):
        until(Keeper.objects.exists, seconds=START_SECONDS)
        assert redis_client.get(heartbeats.BEAT_KEY) is None
        with celery("beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="):
            # The clock says itself that it starts; what follows is the keeper hearing it.
            until(lambda: redis_client.get(heartbeats.BEAT_KEY) is not None, seconds=START_SECONDS)
            first = redis_client.get(heartbeats.BEAT_KEY)
            until(lambda: redis_client.get(heartbeats.BEAT_KEY) != first, seconds=START_SECONDS)
    # Stopped cleanly, the keeper gave its lease back.
    assert not Keeper.objects.exists()


def test_a_wish_reaches_a_keeper_before_its_next_tick(redis_client: redis.Redis) -> None:
    worker = ("worker", "-P", "threads", "-c", "4", "-Q", "tick", "--without-gossip")
    # Ticks are 20 s apart here, so only the wake-up can be so quick.
    with celery(*worker, "--without-mingle", time_scale=10):
        until(Keeper.objects.exists, seconds=START_SECONDS)
        time.sleep(1)  # the worker subscribes a moment after it says that it is ready
        row = make_connection(hostname="127.0.0.1", is_active=True)
        wished = time.monotonic()
        wakeup.wake_keepers([row.pk])
        until(lambda: Connection.objects.get(pk=row.pk).status != "disconnected", seconds=15)
        assert time.monotonic() - wished < 8


def test_the_samples_have_a_database_of_their_own() -> None:
    assert settings.REDIS_SAMPLES_URL not in settings.CELERY_BROKER_URL
