"""Each thread that a process needs for as long as it lives: one that dies runs again, is in the
log once, and makes health red until it does.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import redis
from django.test import Client
from pytest_django import Settings

from connections.keeper import keeper as keeping
from connections.keeper import link as linking
from connections.keeper.keeper import Keeper
from connections.ssh.reader import StreamReader
from core import topics
from core.background import threads
from jobs.keeper.agent import JobAgent
from metrics.collectors.local import LocalCollector
from notifications.delivery.dispatch import Dispatcher, dispatcher
from tests import sshd
from tests.connections.conftest import state
from tests.connections.test_keeper import machine
from tests.factories import make_connection
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


class Victim(NamedTuple):
    """A thread, its words in health, and a call that it makes in each of its rounds."""

    name: str
    what: str
    owner: Any
    call: str


VICTIMS = (
    Victim("keeper", "keeping the machines", Keeper, "_tick"),
    Victim("pulse", "the pulse of the machines", Keeper, "_pulse"),
    Victim("drain", "reading the machines", StreamReader, "_round_done"),
    Victim("jobs-look", "looking after the jobs", JobAgent, "_look"),
    Victim("local", "reading this machine", LocalCollector, "sample"),
    Victim("live", "showing what changes on the pages", topics, "get_channel_layer"),
    Victim("deliveries", "sending notifications", Dispatcher, "_work"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


@pytest.fixture
def quickly(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All rounds are short; no other test hears of threads that died here."""
    monkeypatch.setattr(keeping, "PULSE_SECONDS", 0.2)
    monkeypatch.setattr(linking, "MOST_MISSED_PULSES", 1_000)  # faster than a machine takes them
    monkeypatch.setattr(threads, "PROVEN_SECONDS", 2.0)
    settings.JOBS_SECONDS = 0.1
    yield
    for loop in threads._started:
        loop._died_at = None


@pytest.fixture
def whole(quickly: None, site: Keeper, server: sshd.Sshd) -> Keeper:
    """A keeper with all its threads: it holds a machine over SSH and the site's own."""
    site.holds_local = True
    rows = [
        machine(server),
        make_connection(transport="local", hostname="", username="", is_active=True),
    ]
    site.wake()
    dispatcher.wake()
    until(lambda: [state(row) for row in rows] == [("connected", "")] * 2, "both are connected")
    until(lambda: {victim.name for victim in VICTIMS} <= _running(), "all threads run")
    return site


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.name)
def test_a_thread_that_dies_runs_again_and_health_is_red_until_then(
    whole: Keeper,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    victim: Victim,
) -> None:
    until(lambda: _keeper_in_health(whole) == "ok", "it begins well")
    before = _thread(victim.name)
    with caplog.at_level(logging.WARNING, threads.logger.name):
        with _dying(monkeypatch, victim):
            dispatcher.wake()  # the clock does it every five seconds
            until(lambda: not before.is_alive(), "it dies")
        red = f"A part of a keeper has stopped: {victim.what}."
        until(lambda: _keeper_in_health(whole) == red, "health is red")
        until(lambda: _keeper_in_health(whole) == "ok", "health is green again")
    after = _thread(victim.name)
    assert after is not before
    assert after.is_alive()
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("CRITICAL", f"the thread {victim.name} died"),
        ("WARNING", f"the thread {victim.name} is started again"),
    ]


def test_a_process_without_a_keeper_starts_its_push_loop_again(
    quickly: None, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """A web process has nobody that looks: the next push does."""
    team = make_connection().team_id
    victim = next(victim for victim in VICTIMS if victim.name == "live")
    topics.publish(team, [topics.Item("fleet", "x", b"{}")])
    before = _thread(victim.name)
    with _dying(monkeypatch, victim):
        topics.publish(team, [topics.Item("fleet", "x", b"{}")])
        until(lambda: not before.is_alive(), "it dies")
    topics.publish(team, [topics.Item("fleet", "x", b"{}")])
    assert _thread(victim.name).is_alive()
    until(lambda: topics._sender()._waiting == 0, "what waits is sent")


@contextmanager
def _dying(monkeypatch: pytest.MonkeyPatch, victim: Victim) -> Iterator[None]:
    """The next time the thread makes its call it ends, of what no `except Exception` catches."""
    original: Callable[..., Any] = getattr(victim.owner, victim.call)
    is_dead = threading.Event()

    def call(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread().name == victim.name and not is_dead.is_set():
            is_dead.set()
            raise SystemExit
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(victim.owner, victim.call, call)
        yield
    assert is_dead.is_set()


def _keeper_in_health(keeper: Keeper) -> str:
    keeper.watch()  # as the clock does every two seconds
    dispatcher.wake()
    topics.publish(keeper.id, [topics.Item("fleet", "x", b"{}")])
    found: str = Client().get("/api/health").json()["checks"]["keeper"]
    return found


def _running() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _thread(name: str) -> threading.Thread:
    """The one that runs under this name, or is about to."""
    until(lambda: name in _running(), f"{name} runs")
    return next(thread for thread in threading.enumerate() if thread.name == name)
