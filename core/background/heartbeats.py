"""Signs of life of the parts that only Celery can see, for `/api/health`."""

import time
from functools import lru_cache

import redis
from django.conf import settings

# Unix time of the last sign of life, in seconds.
WORKER_KEY = "health:worker"
BEAT_KEY = "health:beat"
# Threads of a worker that died and do not yet run again, in words; no key when all is well.
WORKER_TROUBLE_KEY = "health:worker-trouble"
_KEEP_SECONDS = 60


def stamp(key: str) -> None:
    """Say that this part has just done something."""
    _client(settings.REDIS_SAMPLES_URL).set(key, time.time(), ex=_KEEP_SECONDS)


def note(key: str, trouble: str) -> None:
    """Say what is wrong with this part; empty when nothing is."""
    client = _client(settings.REDIS_SAMPLES_URL)
    if trouble:
        client.set(key, trouble, ex=_KEEP_SECONDS)
    else:
        client.delete(key)


@lru_cache(maxsize=1)
def _client(url: str) -> redis.Redis:
    """One for the process: to connect costs ten times what it says."""
    return redis.Redis.from_url(url, socket_timeout=settings.REDIS_TIMEOUT_SECONDS)
