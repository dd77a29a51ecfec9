"""Tell the keepers that a job wants something. A hint: if it is lost, their next look finds it."""

import logging
from concurrent.futures import ThreadPoolExecutor

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.background.queues import BROADCAST
from jobs.tasks import look

logger = logging.getLogger(__name__)

# A thread of its own, so that a request never waits for a Redis that hangs.
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-nudge")


def keepers() -> None:
    """Wake every keeper. Returns at once, never raises."""
    _sender.submit(_send)


def _send() -> None:
    try:
        look.apply_async(retry=False, expires=5, **BROADCAST)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("keepers not nudged, they look by themselves: %s", error)
