"""Wake a worker for exports that wait. A hint: the clock wakes one every few seconds anyway."""

import logging
from concurrent.futures import ThreadPoolExecutor

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# By name: the task itself stands above.
_TASK = "exports.work"
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exports")


def work() -> None:
    """Returns at once, never raises: a Redis that hangs costs a thread of ours, no request."""
    _sender.submit(_send)


def _send() -> None:
    try:
        current_app.send_task(_TASK, retry=False, expires=30)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("exports wait for the clock: %s", error)
