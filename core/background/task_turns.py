"""How the tasks of one process share its threads, so that none of them keeps the others waiting.

In embedded mode the keeper's ticks and all other tasks come to the same threads. So each task that
is marked here has at most one thread of a process at a time – a second call returns at once, for
the first one does the same –, and there are more threads than tasks (`dgxsite.up.programs`). What
may run long stands in line for a few places besides, because it holds a database connection while
it works. Exports alone have places of their own (`exports/queue.py`).
"""

import functools
import threading
from collections.abc import Callable

# How many of the long ones work at once; the pool of connections has more (`DGX_DATABASE_POOL`).
LONG_AT_ONCE = 3

_long = threading.BoundedSemaphore(LONG_AT_ONCE)

Task = Callable[[], None]


def short(task: Task) -> Task:
    """One at a time in this process."""
    is_running = threading.Lock()

    @functools.wraps(task)
    def run() -> None:
        if not is_running.acquire(blocking=False):
            return
        try:
            task()
        finally:
            is_running.release()

    return run


def long(task: Task) -> Task:
    """The same for a task that may take longer than a moment: it waits for one of the places."""

    @functools.wraps(task)
    def run() -> None:
        with _long:
            task()

    return short(run)
