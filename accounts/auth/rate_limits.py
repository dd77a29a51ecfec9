"""How often a person may ask for something costly; without Redis nothing is limited."""

import time

from django.core.cache import cache
from redis.exceptions import RedisError

from accounts.policy import Caller
from core.errors import TooMany


def allow(caller: Caller, what: str, per_minute: int) -> None:
    """Count one use of `what` in the running minute; `TooMany` (429) past `per_minute`."""
    minute, second = divmod(int(time.time()), 60)
    key = f"limit:{what}:{caller.user.pk}:{minute}"
    try:
        cache.add(key, 0, 120)
        used = cache.incr(key)
    except (RedisError, OSError, ValueError):
        return
    if used > per_minute:
        left = 60 - second
        raise TooMany(
            f"At most {per_minute} of these in a minute; try again in {left} s.", retry_after=left
        )
