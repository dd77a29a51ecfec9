"""300 events for a webhook that never answers, in the process that keeps the machines."""

import threading

import pytest
from django.db import transaction

from notifications.events import notify, wake_workers
from notifications.models import Channel, Delivery, DeliveryStatus
from tests import factories
from tests.faults import INTERVAL, SCALE, promised
from tests.faults.conftest import Collect, StartMachines
from tests.faults.records import events, now
from tests.faults.site import Site
from tests.notifications.conftest import make_channel
from tests.notifications.receivers import web_server
from tests.notifications.test_dispatch import silent_receiver
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

PROMISED_SECONDS = 10.0
# For the silent webhooks of three teams.
EVENTS = (300, 20, 20)
# What was seen before it was promised: the lease ended within a TTL or two.
WATCHED_SECONDS = 40.0 * SCALE


def test_another_teams_alarm_arrives_and_no_session_ends(
    site: Site, start_machines: StartMachines, collect: Collect
) -> None:
    machines = start_machines(5)
    samples = collect(site, machines)
    site.keeper_and_worker()
    site.beat()
    until(lambda: samples.have_all(3), "samples of all", seconds=120)
    with silent_receiver() as silent, web_server() as web:
        dead = [make_channel(factories.make_team(), silent.url()) for _ in EVENTS]
        began = now()
        for channel, count in zip(dead, EVENTS, strict=True):
            with transaction.atomic():
                for number in range(count):
                    assert notify(channel.team, "unreachable", f"spark-{number} is out of reach")
        until(lambda: silent.taken > 0, "the first is being sent")
        quiet = make_channel(factories.make_team(), web.url())
        told = now()
        assert notify(quiet.team, "unreachable", "spark is out of reach")
        until(lambda: web.requests, "the other team's alarm", seconds=60)
        took = now() - told
        print(f"the other team's alarm arrived after {took:.2f} s")
        assert took <= PROMISED_SECONDS
        threading.Event().wait(WATCHED_SECONDS)
        assert silent.most <= len(EVENTS), "one at a time for each channel"
    assert [events(site, machine.id, began) for machine in machines] == [[]] * len(machines)
    gaps = samples.gaps([machine.id for machine in machines], began)
    print(f"longest gap between samples: {max(gaps):.2f} s at an interval of {INTERVAL:g} s")
    assert max(gaps) <= promised(5 * 2.0)
    assert Delivery.objects.filter(channel=quiet, status=DeliveryStatus.SENT).exists()
    wake_workers._sender.submit(int).result(timeout=120)  # what this process still has to tell
    assert Channel.objects.filter(failures__gt=2).count() <= len(EVENTS)
