"""Wake the keepers or a worker after a commit, and show the pages what has changed.

A wake-up is a hint: if it is lost, the clock or the next tick finds the same rows some seconds
later. It leaves on a thread of its own, so that a request never waits for a Redis that hangs, and
goes by the task's name, because the task often stands above who wakes it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import Error as DatabaseError
from django.db import close_old_connections
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.background.queues import BROADCAST

logger = logging.getLogger(__name__)

# Every keeper hears it, and one worker takes it; a late one does nothing that the clock has not.
KEEPERS: dict[str, Any] = BROADCAST | {"expires": 5}
WORKERS: dict[str, Any] = {"expires": 30}

# Each one that this process has, by its task.
EVERY: dict[str, "Wakeup"] = {}


class Wakeup:
    """Sends one task its message; `show` then gets the rows of all calls that came meanwhile."""

    def __init__(
        self,
        task: str,
        options: Mapping[str, Any],
        show: Callable[[list[UUID]], object] | None = None,
    ) -> None:
        self._task, self._options, self._show = task, options, show
        self._lock = threading.Lock()
        self._is_waiting = False
        self._rows: dict[UUID, None] = {}
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"wake {task}")
        EVERY[task] = self

    def __call__(self, rows: Iterable[UUID] = ()) -> None:
        """Wake soon. Returns at once, never raises."""
        with self._lock:
            self._rows.update(dict.fromkeys(rows))
            if self._is_waiting:
                return
            self._is_waiting = True
        self._sender.submit(self._send)

    def _send(self) -> None:
        with self._lock:
            self._is_waiting = False
            rows = list(self._rows)
            self._rows.clear()
        try:
            current_app.send_task(self._task, retry=False, **self._options)
        except (OperationalError, RedisError, OSError) as error:
            logger.warning("%s was not woken, it looks by itself: %s", self._task, error)
        if self._show is not None and rows:
            self._show_rows(self._show, rows)

    def _show_rows(self, show: Callable[[list[UUID]], object], rows: list[UUID]) -> None:
        try:
            show(rows)
        except DatabaseError as error:
            logger.warning("%s: a change was not shown at once: %s", self._task, error)
        except Exception:
            logger.exception("%s: a change was not shown at once", self._task)
        finally:
            close_old_connections()
