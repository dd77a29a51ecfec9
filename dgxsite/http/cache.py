"""The cache that holds rate limits: without Redis they pause, the login goes on.

All questions of a request together wait for one that hangs no longer than one of them would
(`core/redis_patience.py`).
"""

import logging
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from core.redis_patience import Silent, patience

logger = logging.getLogger(__name__)


class PatientRedisCache(RedisCache):
    """A Redis that is down is an empty cache, said once per failure in the log."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._or(default, super().get, key, default, version)

    def set(self, key: Any, value: Any, timeout: Any = 300, version: int | None = None) -> None:
        self._or(None, super().set, key, value, timeout, version)

    def add(self, key: Any, value: Any, timeout: Any = 300, version: int | None = None) -> bool:
        return bool(self._or(True, super().add, key, value, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._or(False, super().delete, key, version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises as redis-py does; who counts decides what that means."""
        with patience():
            return int(super().incr(key, delta, version))

    def _or(self, otherwise: Any, call: Any, *args: Any) -> Any:
        try:
            with patience():
                return call(*args)
        except Silent:
            return otherwise  # said by who has waited
        except (RedisError, OSError) as error:
            logger.warning("cache unavailable: %s", error)
            return otherwise
