"""How much log one machine may have us keep in a minute, counted where it is kept.

What goes beyond is not lost: it lies in the machine's files and is read when there is room again.
So a machine that prints as fast as it can – or pretends to – slows down the copies of its own jobs
and nothing else.
"""

import threading
import time
from uuid import UUID

BYTES_PER_MINUTE = 128 * 2**20
# With less left it is not worth asking.
LEAST_BYTES = 64 * 1024


class Budget:
    """Fills up evenly; never holds more than a minute's worth."""

    def __init__(self, bytes_per_minute: int) -> None:
        self._most = bytes_per_minute
        self._left = float(bytes_per_minute)
        self._at = time.monotonic()

    def left(self) -> int:
        """How many bytes may be kept now; 0 where it is not worth asking."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._most / 60)
        self._at = now
        return int(self._left) if self._left >= min(LEAST_BYTES, self._most) else 0

    def spend(self, count: int) -> None:
        """So many bytes were kept."""
        self._left -= count


_budgets: dict[UUID, Budget] = {}
_making = threading.Lock()


def of(connection_id: UUID) -> Budget:
    """A machine's budget in this process; it outlives a session, which the machine can end."""
    with _making:
        return _budgets.setdefault(connection_id, Budget(BYTES_PER_MINUTE))
