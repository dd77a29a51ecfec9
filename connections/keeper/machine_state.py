"""What a keeper keeps in mind of each machine that it has leased."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connections.keeper.link import Link
from connections.keeper.write_state import State

# An attempt as young as that is what somebody who wishes one now asks for.
YOUNG_SECONDS = 2.0
# A session that lived this long makes the next failure a first one again.
PROVEN_SECONDS = 30.0


class Row(NamedTuple):
    """What the deciding thread reads of each machine it owns, every tick."""

    id: UUID
    team_id: UUID
    name: str
    transport: str
    epoch: int
    revision: int
    is_active: bool
    deleted_at: datetime | None
    retry_now_at: datetime | None
    status: str


@dataclass(slots=True, eq=False)
class MachineState:
    """A leased machine, as this keeper knows it. Only the deciding thread changes it."""

    row: Row
    link: Link | None = None
    opening: Link | None = None  # of the running attempt; what any other one reports is dropped
    failures: int = 0
    costly: int = 0  # sessions in a row that took more than their share of the processor
    retry_at: float | None = None  # monotonic
    stopped: bool = False
    unwritten: State | None = None  # what the database did not take; the next tick writes it

    @property
    def connecting(self) -> bool:
        """Whether an attempt is under way."""
        return self.opening is not None

    def has_young_attempt(self) -> bool:
        """Whether an attempt has just begun: it is what somebody who wishes one now asks for."""
        return self.opening is not None and not self.opening.has_lasted(YOUNG_SECONDS)

    def is_retry_due(self) -> bool:
        """Whether an attempt has to be made now."""
        if self.connecting or self.stopped or self.link is not None:
            return False
        return self.retry_at is None or time.monotonic() >= self.retry_at

    def forget_attempts(self) -> None:
        """Begin anew, as if nothing had failed."""
        self.failures, self.costly, self.stopped, self.retry_at = 0, 0, False, None

    def count_loss(self, link: Link) -> None:
        """Count a session that ended; after one that lived long the next failure is a first one.

        What is too costly again and again is stopped, whatever else has failed before.
        """
        is_proven = link.has_lasted(PROVEN_SECONDS)
        if is_proven:
            self.failures = self.costly if link.is_too_costly else 0
        if link.is_too_costly:
            self.costly += 1
        elif is_proven:
            self.costly = 0

    def close(self) -> None:
        """End the session and the attempt; neither is heard of again."""
        for link in (self.link, self.opening):
            if link is not None:
                link.close()
        self.link = self.opening = None
