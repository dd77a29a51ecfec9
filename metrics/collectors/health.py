"""What is known about one source on a machine: answered, failed with its own words, or missing.

Age is counted in frames of the machine itself, so that a slow network ages nothing.
"""

import math
from dataclasses import dataclass

from metrics.collectors.readings import Health
from metrics.collectors.tokens import words

NOT_FOUND = "not found"
NO_ANSWER = "no answer"


@dataclass(slots=True)
class Source:
    """One source; silent for more than `patience` frames means that its tool hangs."""

    name: str
    patience: int
    ok: bool | None = None
    detail: str | None = None
    heard: int = 0
    _entry: Health | None = None

    def answered(self, frame: int, problem: str | None = None) -> None:
        """It gave what it has; `problem` is said beside it."""
        self.ok, self.detail, self.heard = True, words(problem) if problem else None, frame

    def failed(self, frame: int, said: str) -> None:
        """It gave nothing usable; `said` are its own words."""
        self.ok, self.detail, self.heard = False, words(said) or NO_ANSWER, frame

    def missing(self, frame: int) -> None:
        """The machine does not have it."""
        self.failed(frame, NOT_FOUND)

    def is_fresh(self, frame: int) -> bool:
        """Whether its last good answer still counts."""
        return self.ok is True and frame - self.heard <= self.patience

    def entry(self, frame: int) -> Health | None:
        """Its line in the sample; `None` while its first answer may still come."""
        if self.ok is not False and frame - self.heard > self.patience:
            return Health(self.name, False, NO_ANSWER)
        if self.ok is None:
            return None
        known = self._entry
        if known is None or known.ok is not self.ok or known.detail != self.detail:
            known = self._entry = Health(self.name, self.ok, self.detail)
        return known


def frames_in(seconds: float, interval_seconds: float) -> int:
    """How many frames of that interval come within `seconds`, rounded up."""
    return math.ceil(seconds / interval_seconds)
