"""Two people at once, each in a transaction of their own: the second waits for the first."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, transaction

from tests.waiting import until


def behind(first: Callable[[], object], second: Callable[[], Any]) -> "Future[Any]":
    """How `second` ended, which began before `first` was committed and had to wait for that."""
    # Two statements: the transaction ends before the pool waits for `second`.
    with ThreadPoolExecutor(1) as pool:  # noqa: SIM117
        with transaction.atomic():
            first()
            outcome = pool.submit(_alone, second)
            until(lambda: outcome.done() or _waits_for_us())
            assert not outcome.done(), "it did not wait: nothing is tried here"
    return outcome


def _alone(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connection.close()


def _waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return cursor.fetchone() is not None
