"""What a keeper has read and not yet written to PostgreSQL: open windows, and closed ones.

A machine's open window holds its readings; when the next window begins it is closed, which leaves
its aggregate. Closed windows stay until `discard`, so that a database that is down loses nothing;
the number of them is bounded, and the oldest go first. Safe from every thread.

What a reading holds and what is left of a window is the business of who makes an `Unsaved`: the
history keeps 20 seconds of numbers, the usage ledger a minute of owners.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from django.conf import settings

from core.background import isolation
from metrics.history.window import Reading, Window, aggregate, window_end

logger = logging.getLogger(__name__)

# 500 machines for seven minutes, 50 for more than an hour; about 2 KB each with one GPU.
MAX_CLOSED = 10_000


class _Timed(Protocol):
    @property
    def at(self) -> datetime: ...


class _Counted(_Timed, Protocol):
    @property
    def count(self) -> int: ...


R = TypeVar("R", bound=_Timed)
W = TypeVar("W", bound=_Counted)


@dataclass(slots=True)
class _Open(Generic[R]):
    end: datetime
    readings: dict[datetime, R] = field(default_factory=dict)


class WindowBuffer(Generic[R, W]):
    """The windows of all machines of one keeper.

    `seconds` is the length of a window and `aggregate(end, readings)` what is left of one; `at` of
    what it makes is the end, `count` how many readings there were.
    """

    def __init__(
        self,
        seconds: float,
        aggregate: Callable[[datetime, Sequence[R]], W],
        max_closed: int = MAX_CLOSED,
    ) -> None:
        self.lost = 0
        self._seconds = seconds
        self._aggregate = aggregate
        self._max_closed = max_closed
        self._lock = threading.Lock()
        self._open: dict[UUID, _Open[R]] = {}
        self._closed: dict[tuple[UUID, datetime], W] = {}
        # Under which epoch a machine's predecessor has been asked what it left.
        self._adopted: dict[UUID, int] = {}

    def add(self, connection_id: UUID, reading: R) -> None:
        """Put a reading into its machine's window."""
        with self._lock:
            self._put(connection_id, reading)

    def to_adopt(self, holdings: Mapping[UUID, int]) -> list[UUID]:
        """The machines for which `adopt` was not yet called under this epoch."""
        with self._lock:
            return [id for id, epoch in holdings.items() if self._adopted.get(id) != epoch]

    def adopt(self, connection_id: UUID, epoch: int, readings: Iterable[R]) -> None:
        """Add what a predecessor left; a reading that is already here counts once."""
        left = list(readings)  # may fail, and then nothing has changed
        with self._lock:
            self._adopted[connection_id] = epoch
            own = self._open.pop(connection_id, None)
            for reading in sorted([*left, *_readings(own)], key=lambda reading: reading.at):
                self._put(connection_id, reading)

    def ended(self, before: datetime, held: Collection[UUID]) -> list[tuple[UUID, W]]:
        """The windows of the held machines that ended by then, oldest first; they stay here."""
        with self._lock:
            over = [(id, window) for id, window in self._open.items() if window.end <= before]
            for connection_id, window in over:
                del self._open[connection_id]
                self._close(connection_id, window)
            return [(key[0], window) for key, window in self._closed.items() if key[0] in held]

    def discard(self, written: Iterable[tuple[UUID, W]]) -> None:
        """Forget what is in the database."""
        with self._lock:
            for connection_id, window in written:
                self._closed.pop((connection_id, window.at), None)

    def _put(self, connection_id: UUID, reading: R) -> None:
        end = window_end(reading.at, self._seconds)
        window = self._open.get(connection_id)
        if window is None or window.end != end:
            if window is not None:
                self._close(connection_id, window)
            window = self._open[connection_id] = _Open(end)
        window.readings[reading.at] = reading

    def _keep(self, key: tuple[UUID, datetime], window: _Open[R]) -> None:
        self._closed[key] = self._aggregate(window.end, list(window.readings.values()))

    def _close(self, connection_id: UUID, window: _Open[R]) -> None:
        key = (connection_id, window.end)
        known = self._closed.get(key)
        # What a predecessor left may be the shorter half of a window that waits here in full.
        if known is None or known.count < len(window.readings):
            isolation.each(
                [window],
                lambda window: self._keep(key, window),
                name="adding up a window of",
                key=lambda _: connection_id,
                rests=False,
            )
        while len(self._closed) > self._max_closed:
            self._closed.pop(next(iter(self._closed)))
            if self.lost == 0:
                logger.error("the database has been away too long: the oldest readings are lost")
            self.lost += 1


def _readings(window: _Open[R] | None) -> Iterable[R]:
    return window.readings.values() if window else ()


class Unsaved(WindowBuffer[Reading, Window]):
    """The windows of the history's raw tier."""

    def __init__(self, max_closed: int = MAX_CLOSED) -> None:
        super().__init__(settings.PERSIST_SECONDS, aggregate, max_closed)


# The windows of this process's keeper.
unsaved = Unsaved()
