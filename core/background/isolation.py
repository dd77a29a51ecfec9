"""One bad row stops no other: a loop over what belongs to several owners goes through `each`.

A row that fails is logged with its id, may be told so itself, and rests for a while, longer each
time, so that it neither fills the log nor takes the time of the others. Only a database that is
gone ends a loop, because then every row would fail: it is raised as Django raises it.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)

# The rest after a first failure doubles up to the longest.
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 60.0
# More rows that fail at once are tried every time.
MOST_RESTING = 10_000
# SQLSTATEs of an OperationalError that is about one statement: a lock or a statement that took too
# long, a deadlock, a serialization that failed.
_OF_ONE_STATEMENT = frozenset({"40001", "40P01", "55P03", "57014"})

T = TypeVar("T")
Failed = Callable[[T, Exception], object]


def is_down(error: BaseException) -> bool:
    """Whether the database itself is away, and not one statement refused.

    `DataError`, `IntegrityError` and `ProgrammingError` are about what was asked, never about the
    database.
    """
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    return getattr(error.__cause__, "sqlstate", None) not in _OF_ONE_STATEMENT


def each(
    rows: Iterable[T],
    work: Callable[[T], object],
    *,
    name: str,
    key: Callable[[T], Hashable] | None = None,
    failed: Failed[T] | None = None,
    passing: tuple[type[Exception], ...] = (),
    rests: bool = True,
) -> int:
    """Do `work` for each row; for how many it returned something true.

    `name` says in the log what the loop does, `key` names a row (its primary key otherwise),
    `failed(row, error)` tells the row. `passing` are errors that the caller handles, which end the
    loop like a database that is down. Inside a transaction each row has its savepoint. Without
    `rests` a row that failed is tried again each time.
    """
    done = 0
    for row in rows:
        place = (name, _key(row) if key is None else key(row))
        if rests and _rests.is_resting(place):
            continue
        try:
            with _apart():
                done += bool(work(row))
        except passing:
            raise
        except Exception as error:
            if is_down(error):
                raise
            _rests.note_failure(place)
            logger.exception("%s: %s failed, the others go on", *place)
            _tell(row, error, failed)
        else:
            _rests.note_success(place)
    return done


def groups(rows: Iterable[T], of: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """The rows of each owner together, in the order in which the owners come."""
    found: dict[Hashable, list[T]] = {}
    for row in rows:
        found.setdefault(of(row), []).append(row)
    yield from found.values()


def _tell(row: T, error: Exception, failed: Failed[T] | None) -> None:
    if failed is None:
        return
    try:
        with _apart():
            failed(row, error)
    except Exception as second:
        if is_down(second):
            raise
        logger.exception("a row could not be told that it failed")


def _apart() -> AbstractContextManager[object]:
    """A savepoint, inside a transaction; nothing where there is none."""
    if not connection.in_atomic_block:
        return nullcontext()
    savepoint = transaction.atomic()
    # One in the transaction of a test is the test's as well: see `core.web.waiting`.
    is_of_test = all(block._from_testcase for block in connection.atomic_blocks)  # type: ignore[attr-defined]
    savepoint._from_testcase = is_of_test  # type: ignore[attr-defined]
    return savepoint


def _key(row: Any) -> Hashable:
    found: Hashable = getattr(row, "pk", row)
    return found


@dataclass(slots=True)
class _Rest:
    failures: int
    until: float


class _Rests:
    """Which rows have failed lately, in this process. Safe from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[Hashable, _Rest] = {}

    def is_resting(self, place: Hashable) -> bool:
        rest = self._of.get(place)
        return rest is not None and time.monotonic() < rest.until

    def note_failure(self, place: Hashable) -> None:
        with self._lock:
            before = self._of.get(place)
            failures = 1 if before is None else before.failures + 1
            seconds = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0 ** min(failures - 1, 16))
            if before is not None or len(self._of) < MOST_RESTING:
                until = time.monotonic() + seconds * settings.TIME_SCALE
                self._of[place] = _Rest(failures, until)

    def note_success(self, place: Hashable) -> None:
        if place in self._of:
            with self._lock:
                self._of.pop(place, None)

    def forget(self) -> None:
        with self._lock:
            self._of.clear()


_rests = _Rests()


def forget() -> None:
    """Let every row have its turn again at once."""
    _rests.forget()
