"""Health tells the truth about each part, in time, to anybody."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from connections.models import Keeper
from core.background import heartbeats
from dgxsite import health
from tests import factories, pooled
from tests.mounts import small_disk

PARTS = {"database", "redis", "keeper", "worker", "beat"}


@pytest.fixture
def whole_site(transactional_db: None, redis_client: redis.Redis) -> redis.Redis:
    """A keeper, a worker and a clock whose signs of life outlast the slowest test."""
    ahead = timedelta(minutes=10)
    Keeper.objects.create(name="k", heartbeat_at=timezone.now() + ahead)
    for key in (heartbeats.WORKER_KEY, heartbeats.BEAT_KEY):
        redis_client.set(key, time.time() + ahead.total_seconds())
    return redis_client


def ask() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/api/health")
    return answer.status_code, answer.json()


def test_all_is_well(whole_site: redis.Redis) -> None:
    assert ask() == (200, {"status": "ok", "checks": dict.fromkeys(PARTS, "ok")})


def test_needs_no_login_and_no_csrf(whole_site: redis.Redis) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.head("/api/health").status_code == 200
    assert client.post("/api/health").status_code == 405


@pytest.mark.parametrize(
    ("part", "key", "age"),
    [
        ("worker", heartbeats.WORKER_KEY, 21),
        ("beat", heartbeats.BEAT_KEY, 11),
        ("beat", heartbeats.BEAT_KEY, 1e9),
    ],
)
def test_an_old_sign_of_life_is_none(
    whole_site: redis.Redis, part: str, key: str, age: float
) -> None:
    whole_site.set(key, time.time() - age)
    status, said = ask()
    assert (status, said["status"]) == (503, "degraded")
    assert {name for name, state in said["checks"].items() if state != "ok"} == {part}


def test_nonsense_in_redis_is_no_sign_of_life(whole_site: redis.Redis) -> None:
    whole_site.set(heartbeats.WORKER_KEY, "nonsense")
    assert ask()[1]["checks"]["worker"] != "ok"


def test_a_keeper_whose_heartbeat_stopped(whole_site: redis.Redis) -> None:
    Keeper.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=30))
    assert ask()[1]["checks"]["keeper"] == "No keeper is running."


def test_redis_down_takes_down_what_is_seen_through_it(
    whole_site: redis.Redis, settings: Any
) -> None:
    settings.REDIS_SAMPLES_URL = "redis://127.0.0.1:1/0"
    status, said = ask()
    assert status == 503
    bad = {name for name, state in said["checks"].items() if state != "ok"}
    assert bad == {"redis", "worker", "beat"}
    assert "127.0.0.1" not in str(said)


def test_database_down_takes_down_what_is_seen_through_it(
    whole_site: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down:
        def cursor(self) -> None:
            raise OperationalError("secret place of the database")

        def close(self) -> None:
            pass

    monkeypatch.setattr(health, "connection", Down())
    status, said = ask()
    assert status == 503
    assert {name for name, state in said["checks"].items() if state != "ok"} == {
        "database",
        "keeper",
    }
    assert "secret place" not in str(said)


def test_an_exhausted_pool_is_told_from_a_database_that_is_down(
    whole_site: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "POOL_SECONDS", 0.2)
    with pooled.pool(size=2) as pool:
        held = [pool.getconn() for _ in range(2)]
        said = health.ask_all()
        assert said["database"] == "All connections to the database are in use."
        assert {name for name, state in said.items() if state != "ok"} == {"database"}
        for one in held:
            pool.putconn(one)
        assert health.ask_all()["database"] == "ok"
        assert pooled.taken(pool) == 0


def test_a_full_disk_is_said(
    whole_site: redis.Redis, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FULL_BYTES", 64 * 1024)
    with small_disk(tmp_path / "data") as disk:
        settings.DATA_DIR = disk
        assert ask()[0] == 200
        (disk / "rest").write_bytes(b"x" * 224 * 1024)
        status, said = ask()
    assert (status, said["checks"]["database"]) == (503, "The disk of the site is full.")
    assert str(tmp_path) not in str(said)


def test_a_bad_machine_makes_no_part_of_the_site_bad(whole_site: redis.Redis) -> None:
    factories.make_connection(name="sick", status="error", reason="unreachable")
    assert ask()[0] == 200


def test_a_frozen_part_costs_no_more_than_the_deadline_and_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen = threading.Event()
    asked: list[int] = []

    def hang() -> dict[str, str]:
        asked.append(1)
        frozen.wait(20)
        return {"database": "ok", "keeper": "ok"}

    silent = {"database": "silent", "keeper": "silent"}
    rest = health.Probe(lambda: {"redis": "ok", "worker": "ok", "beat": "ok"}, {})
    monkeypatch.setattr(health, "PROBES", (health.Probe(hang, silent), rest))
    began = time.monotonic()
    first = health.ask_all(deadline_seconds=0.1)
    second = health.ask_all(deadline_seconds=0.1)
    assert time.monotonic() - began < 5
    frozen.set()
    assert (first["database"], second["database"], second["redis"]) == ("silent", "silent", "ok")
    assert len(asked) == 1
