"""Tell the keepers, and the browsers, that a row has changed.

A nudge is a hint: if it is lost, the keeper's next tick finds the same row two seconds later. It
leaves on a thread of its own, so that a request never waits for a Redis that hangs.
"""

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import close_old_connections
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from connections import broadcast
from connections.tasks import look_at
from core import topics
from core.background.queues import BROADCAST

logger = logging.getLogger(__name__)

_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nudge")
_lock = threading.Lock()
_waiting: set[UUID] = set()


def connections(ids: Iterable[UUID]) -> None:
    """Wake every keeper and show the rows to who watches them. Returns at once, never raises."""
    with _lock:
        idle = not _waiting
        _waiting.update(ids)
    if idle:
        _sender.submit(_send)


def gone(team_id: UUID, connection_id: UUID) -> None:
    """Let a team's open pages drop a machine. Returns at once, never raises."""
    _sender.submit(topics.publish, team_id, [topics.deleted_item(connection_id)])


def _send() -> None:
    with _lock:
        ids = set(_waiting)
        _waiting.clear()
    try:
        look_at.apply_async(retry=False, expires=5, **BROADCAST)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("keepers not nudged, they look by themselves: %s", error)
    try:
        broadcast.connections(ids)
    except DatabaseError as error:
        logger.warning("a change was not announced: %s", error)
    finally:
        close_old_connections()
