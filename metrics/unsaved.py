"""What a keeper has read and not yet written to PostgreSQL: open windows, and closed ones.

A machine's open window holds its readings; when the next window begins it is closed, which leaves
its aggregate. Closed windows stay until `discard`, so that a database that is down loses nothing;
the number of them is bounded, and the oldest go first. Safe from every thread.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings

from metrics.window import Reading, Window, aggregate, window_end

logger = logging.getLogger(__name__)

# 500 machines for seven minutes, 50 for more than an hour; about 2 KB each with one GPU.
MAX_CLOSED = 10_000


@dataclass(slots=True)
class _Open:
    end: datetime
    readings: dict[datetime, Reading] = field(default_factory=dict)


class Unsaved:
    """The windows of all machines of one keeper."""

    def __init__(self, max_closed: int = MAX_CLOSED) -> None:
        self.lost = 0
        self._max_closed = max_closed
        self._lock = threading.Lock()
        self._open: dict[UUID, _Open] = {}
        self._closed: dict[tuple[UUID, datetime], Window] = {}
        # Under which epoch a machine's predecessor has been asked what it left.
        self._adopted: dict[UUID, int] = {}

    def add(self, connection_id: UUID, reading: Reading) -> None:
        """Put a reading into its machine's window."""
        with self._lock:
            self._put(connection_id, reading)

    def to_adopt(self, holdings: Mapping[UUID, int]) -> list[UUID]:
        """The machines for which `adopt` was not yet called under this epoch."""
        with self._lock:
            return [id for id, epoch in holdings.items() if self._adopted.get(id) != epoch]

    def adopt(self, connection_id: UUID, epoch: int, readings: Iterable[Reading]) -> None:
        """Add what a predecessor left; a reading that is already here counts once."""
        with self._lock:
            self._adopted[connection_id] = epoch
            own = self._open.pop(connection_id, None)
            for reading in sorted([*readings, *_readings(own)], key=lambda reading: reading.at):
                self._put(connection_id, reading)

    def ended(self, before: datetime, held: Collection[UUID]) -> list[tuple[UUID, Window]]:
        """The windows of the held machines that ended by then, oldest first; they stay here."""
        with self._lock:
            for connection_id, window in list(self._open.items()):
                if window.end <= before:
                    self._close(connection_id, window)
                    del self._open[connection_id]
            return [(key[0], window) for key, window in self._closed.items() if key[0] in held]

    def discard(self, written: Iterable[tuple[UUID, Window]]) -> None:
        """Forget what is in the database."""
        with self._lock:
            for connection_id, window in written:
                self._closed.pop((connection_id, window.at), None)

    def _put(self, connection_id: UUID, reading: Reading) -> None:
        end = window_end(reading.at, settings.PERSIST_SECONDS)
        window = self._open.get(connection_id)
        if window is None or window.end != end:
            if window is not None:
                self._close(connection_id, window)
            window = self._open[connection_id] = _Open(end)
        window.readings[reading.at] = reading

    def _close(self, connection_id: UUID, window: _Open) -> None:
        key = (connection_id, window.end)
        known = self._closed.get(key)
        # What a predecessor left may be the shorter half of a window that waits here in full.
        if known is None or known.count < len(window.readings):
            self._closed[key] = aggregate(window.end, list(window.readings.values()))
        while len(self._closed) > self._max_closed:
            self._closed.pop(next(iter(self._closed)))
            if self.lost == 0:
                logger.error("the database has been away too long: the oldest readings are lost")
            self.lost += 1


def _readings(window: _Open | None) -> Iterable[Reading]:
    return window.readings.values() if window else ()


# The windows of this process's keeper.
unsaved = Unsaved()
