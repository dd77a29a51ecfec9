"""The sockets over the real web server, with a Redis of its own that goes away."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import orjson
import psutil
import pytest
import websockets
from django.db import connection
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.models import User
from core import embedded
from core.server_urls import redis_database
from dgxsite.up import children
from dgxsite.up.programs import WEB_OPTIONS
from metrics.history.buffer import Unsaved
from metrics.live import store as samples
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.live.people import log_in
from tests.metrics.machines import MOMENT, make_sample
from tests.metrics.private import private_redis, psycopg_address
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


class Site:
    """uvicorn with the options of the product."""

    def __init__(self, redis, environment):
        self.redis = redis
        self.redis_url = environment["REDIS_URL"]
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        listener.close()
        argv = [sys.executable, "-m", "uvicorn", "dgxsite.asgi:application"]
        argv += ["--host", "127.0.0.1", "--port", str(self.port), *WEB_OPTIONS]
        self.process = children.start(
            argv, death_signal=signal.SIGKILL, env=environment, output=subprocess.DEVNULL
        )
        until(self._answers, seconds=60)

    def _answers(self):
        assert self.process.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(
        self, token: str = "", path: str = "/ws/live/", **options: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        headers = options.pop("headers", {})
        if token:
            headers |= {"Authorization": f"Bearer {token}"}
        address = f"ws://127.0.0.1:{self.port}{path}"
        return websockets.connect(address, additional_headers=headers, **options)

    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@pytest.fixture(scope="module")
def site(django_db_setup, django_db_blocker):
    with private_redis() as redis:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "dgxsite.settings",
            "DATABASE_URL": psycopg_address(),
            "REDIS_URL": embedded.redis_url(redis.directory),
            "PYTHONWARNINGS": "ignore",
        }
        running = Site(redis, environment)
        yield running
        running.process.kill()
        running.process.wait()


@pytest.fixture
def stage(site, settings, transactional_db):
    """A team with two machines whose keeper writes into the site's Redis."""
    settings.REDIS_SAMPLES_URL = redis_database(site.redis_url, 2)
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": settings.CHANNEL_LAYERS["default"]["BACKEND"],
            "CONFIG": {"hosts": [redis_database(site.redis_url, 1)]},
        }
    }
    return Stage()


class Stage:
    def __init__(self):
        self.team = make_team()
        self.user = make_user()
        join(self.user, self.team)
        self.token = make_token(self.user)
        self.session = log_in(self.user)
        self.machines = [make_connection(self.team) for _ in range(2)]
        self.topic = f"connection:{self.machines[0].pk}"
        self._recorder = samples.Recorder(Unsaved())
        self._moment = MOMENT

    def shut_out(self):
        User.objects.filter(pk=self.user.pk).update(is_active=False)
        connection.close()  # this thread's own

    def newest(self):
        sample = samples.latest(self.machines[0].pk)
        assert sample is not None
        return sample

    def record(self, **fields):
        self._moment += timedelta(seconds=2)
        for machine in self.machines:
            self._recorder.add(machine.pk, machine.team_id, 1, make_sample(self._moment, **fields))
        self._recorder.flush({machine.pk: 1 for machine in self.machines})
        return self._moment


async def subscribe(client, *topics):
    await client.send(orjson.dumps({"action": "subscribe", "topics": topics}).decode())


async def hear(client, seconds=5.0):
    async with asyncio.timeout(seconds):
        return orjson.loads(await client.recv())


async def hear_until(client, found: Callable[[dict[str, Any]], bool], seconds=10.0):
    async with asyncio.timeout(seconds):
        while not found(message := orjson.loads(await client.recv())):
            pass
    return message


async def close_code(client):
    try:
        async with asyncio.timeout(5):
            while True:
                await client.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def status_of_refusal(connecting):
    with pytest.raises(InvalidStatus) as refused:
        async with connecting:
            pass
    return refused.value.response.status_code


async def test_a_foreign_page_is_refused_and_our_own_is_served(site, stage):
    cookie = {"Cookie": f"sessionid={stage.session}"}
    own = f"http://127.0.0.1:{site.port}"
    for origin in (
        "https://evil.example",
        "null",
        f"http://127.0.0.1.evil.example:{site.port}",
        f"http://127.0.0.1:{site.port + 1}",
        None,
    ):
        assert await status_of_refusal(site.connect(headers=dict(cookie), origin=origin)) == 403
    assert await status_of_refusal(site.connect(path="/ws/nothing/", origin=own)) == 403
    async with site.connect(headers=dict(cookie), origin=own) as client:
        await subscribe(client, "fleet")
        assert (await hear(client))["event"] == "state"


async def test_no_login_is_accepted_and_closed_with_4401(site, stage):
    async with site.connect() as client:
        assert await close_code(client) == 4401
    async with site.connect("dgx_" + "x" * 43) as client:
        assert await close_code(client) == 4401


async def test_who_is_shut_out_is_told_within_five_seconds(site, stage):
    async with site.connect(stage.token) as client, site.connect(stage.token) as other:
        for watcher in (client, other):
            await subscribe(watcher, "fleet")
            await hear(watcher)
        await asyncio.to_thread(stage.shut_out)
        assert await close_code(client) == 4403
        assert await close_code(other) == 4403


async def test_a_megabyte_is_closed_with_1009_and_64_kib_are_read(site, stage):
    async with site.connect(stage.token) as client:
        await subscribe(client, "x" * 65_000)
        assert (await hear(client))["event"] == "error"
        await client.send("x" * 1_000_000)
        assert await close_code(client) == 1009


async def test_binary_and_broken_frames_are_closed_with_4400(site, stage):
    for frame in (b'{"action":"subscribe","topics":["fleet"]}', "{", '{"type":"disconnect"}'):
        async with site.connect(stage.token) as client:
            await client.send(frame)
            assert await close_code(client) == 4400


async def test_what_is_recorded_reaches_every_watcher_quickly(site, stage, capsys):
    watchers = [await site.connect(stage.token).__aenter__() for _ in range(50)]
    for client in watchers:
        await subscribe(client, "fleet")
        await hear(client)
    stage.record()
    await asyncio.gather(*(hear(client) for client in watchers))
    waits = []
    for _ in range(5):
        started = time.monotonic()
        await asyncio.to_thread(stage.record)

        async def heard(client, since=started):
            message = await hear(client)
            assert len(message["data"]["samples"]) == 2
            waits.append(time.monotonic() - since)

        await asyncio.gather(*(heard(client) for client in watchers))
    await asyncio.gather(*(client.close() for client in watchers))
    p95 = sorted(waits)[int(len(waits) * 0.95)]
    with capsys.disabled():
        print(f"\nrecorded to heard, 50 sockets: p95 {p95 * 1000:.0f} ms")
    assert p95 < 1.0


def small_socket(site):
    """One that the kernel cannot make a buffer of megabytes for."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    made.connect(("127.0.0.1", site.port))
    made.setblocking(False)
    return made


async def test_a_client_that_never_reads_costs_little_and_wakes_up_to_a_fresh_state(site, stage):
    async with (
        site.connect(stage.token) as reader,
        site.connect(
            stage.token, max_queue=1, compression=None, sock=small_socket(site)
        ) as sleeper,
    ):
        for client in (reader, sleeper):
            await subscribe(client, "fleet")
            await hear(client)
        sleeper.transport.pause_reading()
        before = site.memory_bytes()
        slowest, events = 0.0, Counter[str]()
        for _ in range(300):
            started = time.monotonic()
            await asyncio.to_thread(stage.record, gpus=40)
            message = await hear(reader)
            slowest = max(slowest, time.monotonic() - started)
            events[message["event"]] += 1
        # On busy processors a batch may be seen missing, which a state makes good.
        assert events["sample"] > 290
        assert slowest < 5.0
        assert site.memory_bytes() - before < 24 * 2**20
        sleeper.transport.resume_reading()
        newest, numbers = stage.newest()["seq"], []

        def is_fresh_state(message):
            # One that made good a missing batch may lie in the socket's buffers before it.
            numbers.append(message["seq"])
            return message["event"] == "state" and {
                entry["sample"]["seq"] for entry in message["data"]["connections"]
            } == {newest}

        await hear_until(sleeper, is_fresh_state)
        assert numbers == list(range(2, 2 + len(numbers)))


async def test_redis_killed_twice_leaves_sockets_open_and_samples_come_again(site, stage):
    async with site.connect(stage.token) as client:
        await subscribe(client, stage.topic)
        await hear(client)
        stage.record()
        await hear_until(client, lambda message: message["event"] == "sample")
        for _ in range(2):
            site.redis.kill()
            await asyncio.to_thread(stage.record)
            async with site.connect(stage.token) as newcomer:  # is let in all the same
                await subscribe(newcomer, "notifications")
                assert (await hear(newcomer))["event"] == "state"
                await subscribe(newcomer, stage.topic)
                site.redis.start()  # on this thread: the server dies with the one that started it
                pushing = asyncio.create_task(_record_for_ever(stage))
                try:
                    for socket_ in (client, newcomer):
                        await hear_until(socket_, lambda m: m["event"] == "sample", 15)
                finally:
                    pushing.cancel()


async def _record_for_ever(stage):
    while True:
        await asyncio.to_thread(stage.record)
        await asyncio.sleep(0.2)


async def test_a_frozen_redis_delays_no_handshake(site, stage):
    site.redis.send(signal.SIGSTOP)
    try:
        started = time.monotonic()
        async with site.connect(stage.token) as client:
            await subscribe(client, "notifications")
            assert (await hear(client, 8))["event"] == "state"
        assert time.monotonic() - started < 5
    finally:
        site.redis.send(signal.SIGCONT)


async def test_many_sockets_and_pings_leave_the_others_served(site, stage):
    crowd = await asyncio.gather(
        *(site.connect(stage.token, open_timeout=30).__aenter__() for _ in range(100))
    )
    for _ in range(500):
        await crowd[0].ping()
    async with site.connect(stage.token) as client:
        await subscribe(client, "fleet")
        assert (await hear(client, 30))["event"] == "state"
    await asyncio.gather(*(member.close() for member in crowd))
