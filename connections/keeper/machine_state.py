"""What a keeper keeps in mind of each machine that it has leased."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from connections.keeper.link import Link
from connections.keeper.write_state import State


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
class Held:
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
