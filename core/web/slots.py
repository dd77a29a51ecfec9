"""Places for what takes long: so many at once in all, and so many for one person.

They are of this process. A place is given back when its block ends, when what it was handed to is
closed, and at the latest when it is forgotten.
"""

import threading
from collections import Counter
from collections.abc import Hashable
from types import TracebackType
from typing import Self

from core.errors import TooMany

# When to come again: about as long as one of the short ones takes.
RETRY_SECONDS = 5


class Places:
    """`what` completes the sentence of who finds none: "At most 4 …"."""

    def __init__(self, what: str, *, in_all: int, per_person: int) -> None:
        self.in_all, self.per_person = in_all, per_person
        self._what = what
        # A collection that begins in here may let go of a forgotten place.
        self._lock = threading.RLock()
        self._taken: Counter[Hashable] = Counter()

    def take(self, person: Hashable) -> "Place":
        """A place for `person`, to be closed; `TooMany` when they have enough, or all are taken.

        Returns at once: who waits for a place would hold a thread.
        """
        with self._lock:
            if self._taken[person] >= self.per_person:
                raise TooMany(
                    f"You have {self.per_person} {self._what} at once, which is the most; "
                    "wait for one to end.",
                    retry_after=RETRY_SECONDS,
                )
            if self._taken.total() >= self.in_all:
                raise TooMany(
                    f"There are {self.in_all} {self._what} at once, which is the most; "
                    "try again soon.",
                    retry_after=RETRY_SECONDS,
                )
            self._taken[person] += 1
        return Place(self, person)

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken.total()

    def _give_back(self, person: Hashable) -> None:
        with self._lock:
            self._taken[person] -= 1
            if not self._taken[person]:
                del self._taken[person]


class Place:
    """One that is taken; closing it twice is closing it once."""

    def __init__(self, places: Places, person: Hashable) -> None:
        self._places: Places | None = places
        self._person = person

    def close(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places._give_back(self._person)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
