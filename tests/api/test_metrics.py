"""The newest readings over the REST API."""

from typing import Any
from uuid import UUID

import orjson
import pytest
import redis
from django.test import Client

from tests.api.client import Api
from tests.api.conftest import World


def keep(client: redis.Redis, connection_id: UUID, count: int) -> None:
    """Put samples where the keeper puts them: the newest alone, and a list, newest first."""
    samples = [orjson.dumps({"connection_id": str(connection_id), "seq": n}) for n in range(count)]
    client.set(f"dgx:last:{connection_id}", samples[-1])
    client.lpush(f"dgx:recent:{connection_id}", *samples)


def test_before_the_first_sample_there_is_none(world: World, redis_client: redis.Redis) -> None:
    answer = world.viewer.get(f"/connections/{world.machine.pk}/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_sample")
    recent = world.viewer.get(f"/connections/{world.machine.pk}/metrics/recent")
    assert recent.json() == {"items": [], "count": 0}


def test_latest_and_recent_oldest_first(world: World, redis_client: redis.Redis) -> None:
    keep(redis_client, world.machine.pk, 3)
    path = f"/connections/{world.machine.pk}/metrics"
    assert world.viewer.get(path).json()["seq"] == 2
    recent = world.viewer.get(f"{path}/recent").json()
    assert [sample["seq"] for sample in recent["items"]] == [0, 1, 2]
    assert recent["count"] == 3
    part = world.viewer.get(f"{path}/recent", limit=1, offset=1).json()
    assert [sample["seq"] for sample in part["items"]] == [1]


@pytest.mark.parametrize("path", ["/metrics", "/metrics/recent"])
def test_strangers_see_no_readings(world: World, redis_client: redis.Redis, path: str) -> None:
    keep(redis_client, world.machine.pk, 1)
    assert world.stranger.get(f"/connections/{world.machine.pk}{path}").status_code == 404
    assert world.nobody.get(f"/connections/{world.machine.pk}{path}").status_code == 401


def test_without_redis_the_readings_are_unavailable(world: World, settings: Any) -> None:
    settings.REDIS_SAMPLES_URL = "redis://127.0.0.1:1/0"
    answer = world.viewer.get(f"/connections/{world.machine.pk}/metrics")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")


def test_this_machine_for_any_login(world: World) -> None:
    client = Client()
    client.force_login(world.owner)
    answer = client.get("/api/metrics")
    assert answer.status_code == 200
    shown = answer.json()
    assert {"timestamp", "cpu", "memory", "gpu", "gpus", "battery"} <= shown.keys()
    assert set(shown["cpu"]) == {"utilization", "cores", "frequency", "maxFrequency"}
    assert shown["memory"]["total"] > 0
    by_token = Api(None)._client.get("/api/metrics")
    assert by_token.status_code == 401
