"""The threads that send: a receiver that never answers holds up nobody else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from accounts.models import Team
from notifications.channels import webhooks
from notifications.delivery import claiming, dispatch, resting, sender
from notifications.events import notify
from notifications.models import Channel, ChannelKind, Delivery, DeliveryStatus
from tests import factories
from tests.notifications.conftest import Crew, make_channel
from tests.notifications.receivers import WebServer
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback")]


@dataclass
class Silent:
    """A receiver that takes connections and never answers; how many it has at once."""

    port: int
    at_once: int = 0
    most: int = 0
    taken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def hold(self, guest: socket.socket) -> None:
        with self.lock:
            self.taken += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        with guest:
            while guest.recv(65536):
                pass
        with self.lock:
            self.at_once -= 1


@contextmanager
def silent_receiver() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        silent = Silent(server.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    guest, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=silent.hold, args=(guest,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield silent
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def silent() -> Iterator[Silent]:
    with silent_receiver() as receiver:
        yield receiver


@pytest.fixture
def dispatcher() -> Iterator[dispatch.Dispatcher]:
    dispatcher = dispatch.Dispatcher()
    yield dispatcher
    dispatcher.close()


def tell(team: Team, count: int = 1) -> None:
    for number in range(count):
        assert notify(team, "unreachable", f"spark-{number} is out of reach") is not None


def test_300_events_for_a_silent_webhook_hold_up_no_other_team(
    silent: Silent,
    web: WebServer,
    dispatcher: dispatch.Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", 3.0)
    loud, quiet = factories.make_team(), factories.make_team()
    make_channel(loud, silent.url())
    tell(loud, 300)
    dispatcher.wake()
    until(lambda: silent.taken > 0)
    make_channel(quiet, web.url())
    tell(quiet)
    told = time.monotonic()
    dispatcher.wake()
    until(lambda: web.requests, seconds=40)
    assert time.monotonic() - told <= 10
    until(lambda: silent.taken > 2)
    assert silent.most == 1, "one at a time for each channel"


def test_a_dead_channel_among_many_costs_its_team_its_share_alone(
    silent: Silent,
    web: WebServer,
    dispatcher: dispatch.Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten dead channels each of many teams fill every place; who has none under way goes first."""
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", 2.0)
    for _ in range(4):
        team = factories.make_team()
        for _ in range(10):
            make_channel(team, silent.url())
        tell(team, 3)
    dispatcher.wake()
    lane = claiming.LANES[ChannelKind.WEBHOOK]
    until(lambda: silent.at_once == lane.at_once)
    team = factories.make_team()
    make_channel(team, web.url())
    tell(team)
    told = time.monotonic()
    until(lambda: web.requests, seconds=40)
    assert time.monotonic() - told <= 10
    assert silent.most <= lane.at_once


def test_no_team_has_all_places(crew: Crew, silent: Silent) -> None:
    for _ in range(10):
        make_channel(crew.team, silent.url())
    tell(crew.team)
    claimed = 0
    while (row := sender.claim(timezone.now())) is not None:
        claimed += row.channel is not None
    assert claimed == claiming.LANES[ChannelKind.WEBHOOK].per_team


def test_a_channel_whose_worker_died_is_free_when_its_claim_ends(
    crew: Crew, web: WebServer
) -> None:
    make_channel(crew.team, web.url())
    tell(crew.team, 2)
    first = sender.claim(timezone.now())
    assert first is not None
    assert sender.claim(timezone.now()) is None, "one at a time"
    later = timezone.now() + timedelta(seconds=claiming.CLAIM_SECONDS + 1)
    again = sender.claim(later)
    assert again is not None
    assert again.pk == first.pk


def sessions() -> set[int]:
    """The database's other sessions, by their processes."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_nothing_of_the_database_is_held_while_a_receiver_is_waited_for(
    crew: Crew, web: WebServer, dispatcher: dispatch.Dispatcher
) -> None:
    of_earlier_tests = sessions()  # a thread of theirs may still have one
    web.may_answer.clear()
    make_channel(crew.team, web.url())
    tell(crew.team)
    dispatcher.wake()
    assert web.arrived.acquire(timeout=40)
    # That of the asking thread, which waits for a word; who has shown the event to pages lets go.
    until(lambda: len(sessions() - of_earlier_tests) == 1)
    web.may_answer.set()
    until(lambda: Delivery.objects.filter(status=DeliveryStatus.SENT).exists())


def test_after_three_failures_a_channel_rests_and_one_try_speaks_for_all(
    crew: Crew, web: WebServer
) -> None:
    web.answer = lambda number: 503
    channel = make_channel(crew.team, web.url())
    tell(crew.team, 20)
    run_at(0)
    assert len(web.requests) == resting.TOLERATED + 1
    run_at(resting.REST_SECONDS[0] - 5)
    assert len(web.requests) == resting.TOLERATED + 1, "it rests"
    run_at(resting.REST_SECONDS[0] + 5)
    assert len(web.requests) == resting.TOLERATED + 2, "one is tried"
    web.answer = lambda number: 200
    run_at(10**6)
    assert set(channel.deliveries.values_list("status", flat=True)) == {DeliveryStatus.SENT}
    channel.refresh_from_db()
    assert (channel.failures, channel.rests_until) == (0, None)


def test_what_waited_for_hours_at_a_dead_channel_has_failed(crew: Crew, web: WebServer) -> None:
    web.answer = lambda number: 503
    channel = make_channel(crew.team, web.url())
    tell(crew.team, 20)
    old = timezone.now() - sender.PATIENCE - timedelta(minutes=1)
    for row in Delivery.objects.select_related("event"):
        row.event.created_at = old
        row.event.save()
    run_at(0)
    rows = channel.deliveries.exclude(attempts__gt=0)
    assert set(rows.values_list("status", "detail")) == {(DeliveryStatus.FAILED, resting.TOO_OLD)}


def test_a_refused_message_is_no_failure_of_the_channel(crew: Crew, web: WebServer) -> None:
    web.answer = lambda number: 400
    channel = make_channel(crew.team, web.url())
    tell(crew.team, 10)
    run_at(0)
    assert len(web.requests) == 10
    assert Channel.objects.get(pk=channel.pk).failures == 0


def test_the_asking_thread_that_dies_goes_on(
    crew: Crew, web: WebServer, dispatcher: dispatch.Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(now: object) -> None:
        monkeypatch.undo()
        raise SystemExit

    make_channel(crew.team, web.url())
    tell(crew.team)
    monkeypatch.setattr(sender, "claim", die)
    dispatcher.wake()
    until(lambda: not dispatcher._loop.is_alive)
    dispatcher.wake()  # as the clock does
    until(lambda: web.requests)


def run_at(seconds: float) -> None:
    """Let a worker look that many seconds from now."""
    while (row := sender.claim(timezone.now() + timedelta(seconds=seconds))) is not None:
        sender.work(row)
