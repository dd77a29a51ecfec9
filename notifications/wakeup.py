"""After a commit: show the event to who is at a page, and wake a worker.

Both are hints. A page that missed a push gets the state with its next one; the beat wakes a worker
every few seconds. They leave on a thread of their own, so that nobody waits for a Redis that hangs.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from celery import current_app
from django.db import Error as DatabaseError
from django.db import close_old_connections
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from notifications import feed

# By name: the task itself stands above, because failed deliveries are told, too.
_TASK = "notifications.deliver"

logger = logging.getLogger(__name__)

_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notify")


def event(event_id: UUID) -> None:
    """Announce one event. Returns at once, never raises."""
    _sender.submit(_send, event_id)


def _send(event_id: UUID) -> None:
    try:
        feed.push_event(event_id)
    except DatabaseError as error:
        logger.warning("event=%s not shown at once: %s", event_id, error)
    finally:
        close_old_connections()
    try:
        current_app.send_task(_TASK, retry=False, expires=30)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("event=%s waits for the clock: %s", event_id, error)
