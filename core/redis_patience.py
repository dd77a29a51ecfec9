"""One wait for a Redis that hangs, not one for each question.

A Redis that is gone refuses at once; one that hangs costs whoever asks the whole timeout, and a
log-in asks a dozen times. So who has waited in vain tells the others of this process: for a while
nobody asks, then one does. A request thus waits `REDIS_TIMEOUT_SECONDS` at most, and most of them
not at all.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

QUIET_SECONDS = 5.0
# redis-py asks three times more by itself, and waits each time.
ONCE = Retry(NoBackoff(), 0)

_lock = threading.Lock()
_silent_until = 0.0


class Silent(RedisConnectionError):
    """Redis did not answer somebody else a moment ago, so it was not asked."""


@contextmanager
def patience() -> Iterator[None]:
    """Around one question to Redis; raises `Silent` in place of asking one that hangs."""
    _go_ahead()
    try:
        yield
    except RedisTimeoutError:
        _note(time.monotonic() + QUIET_SECONDS)
        raise
    except BaseException:
        _note(0.0)
        raise
    _note(0.0)


def forget() -> None:
    """Ask again at once, whatever was before."""
    _note(0.0)


def _go_ahead() -> None:
    """The first one after a silence asks; until it has heard something, the others do not."""
    global _silent_until
    with _lock:
        if not _silent_until:
            return
        if time.monotonic() < _silent_until:
            raise Silent("Redis did not answer a moment ago")
        _silent_until = time.monotonic() + settings.REDIS_TIMEOUT_SECONDS + 0.5


def _note(until: float) -> None:
    global _silent_until
    with _lock:
        _silent_until = until
