"""From windows that have ended to rows: what the history and the usage ledger have in common.

A `Saver` is told how to write; it adds what makes writing safe: only what this keeper holds, once,
and nothing is lost to a database that is down, to a partition that is missing, or to one bad
window among many. Readings that a killed keeper left in Redis are taken over first.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from psycopg.errors import CheckViolation
from redis.exceptions import RedisError

from connections.keeper import leases
from core.background import isolation
from metrics.history.buffer import R, W, WindowBuffer
from metrics.models import Machine

logger = logging.getLogger(__name__)

# A frame that was read just before the end of a window has been added by then.
GRACE = 0.1
# After a long time without the database: as much as half a second writes.
MOST_WINDOWS = 1_000

T = TypeVar("T")
Ended = Sequence[tuple[UUID, T]]

_KEYS = """
INSERT INTO metrics_machine (connection_id)
SELECT id FROM connections_connection WHERE id = ANY(%s) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Who writes: the keeper, and the machines that it believes to hold, with their epochs."""

    keeper_id: UUID
    holdings: Mapping[UUID, int]

    def lock(self, ids: Iterable[UUID]) -> set[UUID]:
        """Those of `ids` that are held, kept from others until the transaction ends."""
        return leases.lock_held(self.keeper_id, self.holdings, ids)


@dataclass(frozen=True, slots=True)
class Saver(Generic[R, W]):
    """`left` reads what previous keepers left of these machines and raises as redis-py does;
    `write` stores windows in one transaction and answers how many rows; `ensure` makes the
    partitions of these days and answers how many were missing.
    """

    windows: WindowBuffer[R, W]
    left: Callable[[Sequence[UUID]], Mapping[UUID, Iterable[R]]]
    write: Callable[[Keeping, Ended[W], Mapping[UUID, int]], int]
    ensure: Callable[[Sequence[date]], int]

    def save(self, keeping: Keeping, now: datetime) -> int:
        """Write what has ended by `now` for the machines that are held; how many rows.

        Never raises for a database that is down: it says so once per call and returns what was
        written until then.
        """
        self._adopt(keeping.holdings)
        before = now - timedelta(seconds=GRACE * settings.SAMPLE_SECONDS)
        written = 0
        try:
            while ended := self.windows.ended(before, keeping.holdings)[:MOST_WINDOWS]:
                rows = self._persist(keeping, ended)
                self.windows.discard(ended)
                written += rows
        except (DatabaseError, InterfaceError) as error:
            if not isolation.is_down(error):
                logger.exception("windows are kept, saving them failed")
                return written
            logger.error("windows are kept, they could not be saved: %s", error)
            if not connection.in_atomic_block:
                connection.close()
        return written

    def _adopt(self, holdings: Mapping[UUID, int]) -> None:
        """Take over what the previous keepers of newly held machines left in Redis."""
        new = self.windows.to_adopt(holdings)
        if not new:
            return
        try:
            left = self.left(new)
        except (RedisError, OSError) as error:
            logger.warning("readings of previous keepers wait for Redis: %s", error)
            return
        isolation.each(
            new,
            lambda one: self.windows.adopt(one, holdings[one], left[one]),
            name="taking over the readings of",
            failed=lambda one, _: self.windows.adopt(one, holdings[one], ()),
        )

    def _persist(self, keeping: Keeping, ended: Ended[W]) -> int:
        keys = _machine_keys({connection_id for connection_id, _ in ended})
        try:
            return self.write(keeping, ended, keys)
        except Exception as error:
            if isolation.is_down(error):
                raise
            if self._made_missing_days(error, ended):
                return self._persist(keeping, ended)
            if len(ended) == 1:
                logger.exception("connection=%s: a window was refused", ended[0][0])
                return 0
        # One bad window must not hold up the others: look for it by halves.
        middle = len(ended) // 2
        halves = (ended[:middle], ended[middle:])
        return sum(self._persist(keeping, half) for half in halves)

    def _made_missing_days(self, error: Exception, ended: Ended[W]) -> int:
        """How many partitions were made, if that is what the error is about."""
        # "No partition of relation found for row" is reported as a check violation.
        if not isinstance(error.__cause__, CheckViolation):
            return 0
        days = sorted({window.at.date() for _, window in ended})
        logger.error("no partition for a window between %s and %s; making it", days[0], days[-1])
        return self.ensure(days)


def _machine_keys(ids: Collection[UUID]) -> dict[UUID, int]:
    """The stored number of each connection, made for those that have none yet."""
    known = Machine.objects.filter(connection_id__in=ids)
    keys = dict(known.values_list("connection_id", "id"))
    missing = [id for id in ids if id not in keys]
    if missing:
        with connection.cursor() as cursor:
            cursor.execute(_KEYS, [missing])
        keys |= dict(known.values_list("connection_id", "id"))
    return keys
