"""How often a person may ask for something costly; without Redis nothing is limited."""

import time

from django.core.cache import cache
from redis.exceptions import RedisError

from accounts.policy import Caller
from dgxsite.errors import TooMany


def allow(caller: Caller, what: str, per_minute: int) -> None:
    """Count one use of `what` in the running minute; `TooMany` (429) past `per_minute`."""
    key = f"limit:{what}:{caller.user.pk}:{int(time.time() // 60)}"
    try:
        cache.add(key, 0, 120)
        used = cache.incr(key)
    except (RedisError, OSError, ValueError):
        return
    if used > per_minute:
        raise TooMany(f"At most {per_minute} of these in a minute.")
