"""Workers that are killed (-9) at each step of a delivery: how often the receiver hears of it.

The workers are processes of their own on the same database. Time passes by looking at the queue
with a later clock.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from notifications.delivery import sender
from notifications.events import notify
from notifications.models import Delivery, DeliveryStatus, Event
from tests import factories
from tests.notifications.conftest import make_channel
from tests.notifications.receivers import WebServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback")]

# Stops where the test says, as a process that the kernel has taken off the core.
_WORKER = """
import sys, time, django
django.setup()
from django.utils import timezone
from notifications.delivery import sender
if sys.argv[1] == "claim":
    assert sender.claim(timezone.now()) is not None
else:
    sender.run()
print("done", flush=True)
time.sleep(60)
"""


@contextmanager
def worker(until: str) -> Iterator["subprocess.Popen[str]"]:
    """A worker that claims, or runs, and then waits; killed at the end at the latest."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "dgxsite.settings"}
    environment["DATABASE_URL"] = _database_url()
    environment["DGX_ALLOW_LOOPBACK"] = "1"
    environment["REDIS_URL"] = django_settings.REDIS_URL
    environment["DGX_ENCRYPTION_KEYS"] = ",".join(django_settings.ENCRYPTION_KEYS)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _WORKER, until],
        cwd=django_settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        kill(process)
        assert process.stdout is not None
        process.stdout.close()


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def has_done(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout is not None
    return process.stdout.readline().strip() == "done"


@pytest.fixture
def event(transactional_db: None, web: WebServer) -> Event:
    team = factories.make_team()
    make_channel(team, web.url(), secret="s3cret")
    found = notify(team, "unreachable", "spark is out of reach")
    assert found is not None
    return found


def next_worker() -> None:
    """Another worker looks when the claim of the dead one has ended."""
    later = timezone.now() + timedelta(seconds=sender.CLAIM_SECONDS + 1)
    while (row := sender.claim(later)) is not None:
        sender.work(row)


def ids(web: WebServer) -> list[str]:
    return [request.headers["X-DGX-Event-Id"] for request in web.requests]


def test_killed_before_sending_it_arrives_once(event: Event, web: WebServer) -> None:
    with worker("claim") as process:
        assert has_done(process)
        kill(process)
    assert sender.claim(timezone.now()) is None, "the claim still holds"
    next_worker()
    assert ids(web) == [str(event.pk)]
    assert Delivery.objects.get().status == DeliveryStatus.SENT


def test_killed_between_sending_and_recording_the_same_id_comes_twice(
    event: Event, web: WebServer
) -> None:
    web.may_answer.clear()
    with worker("run") as process:
        assert web.arrived.acquire(timeout=60)
        kill(process)
    web.may_answer.set()
    next_worker()
    next_worker()
    assert ids(web) == [str(event.pk)] * 2
    assert Delivery.objects.get().status == DeliveryStatus.SENT


def test_killed_after_recording_it_arrives_once(event: Event, web: WebServer) -> None:
    with worker("run") as process:
        assert has_done(process)
        kill(process)
    next_worker()
    assert ids(web) == [str(event.pk)]
    assert Delivery.objects.get().status == DeliveryStatus.SENT


def test_a_delivery_that_kills_its_workers_ends(event: Event) -> None:
    for _ in range(len(sender.RETRY_SECONDS) + 1):
        later = timezone.now() + timedelta(days=1)
        assert sender.claim(later) is not None
        Delivery.objects.update(claimed_until=timezone.now())
    assert sender.claim(timezone.now() + timedelta(days=1)) is None
    assert Delivery.objects.get().status == DeliveryStatus.FAILED


def _database_url() -> str:
    values = connection.settings_dict
    parts = {
        "host": values["HOST"],
        "port": values["PORT"],
        "user": values["USER"],
        "password": values["PASSWORD"],
        "dbname": values["NAME"],
    }
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)
