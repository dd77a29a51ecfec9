"""Ask every two seconds, once for all sockets of the process, who may still be there."""

import asyncio
import logging
from typing import Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from dgxsite.sockets.access import Principal, standing
from dgxsite.sockets.allowance import Allowance
from dgxsite.sockets.outbox import StateUnreadable
from dgxsite.sockets.snapshots import read

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
# Frames of all sockets of one person: far above what many open pages send.
PERSON_PER_SECOND, PERSON_AT_ONCE = 100.0, 1_000.0
# Handshakes of one address that are turned away and noted for the audit; more are turned away.
REFUSALS_PER_SECOND, REFUSALS_AT_ONCE = 2.0, 20.0
# People and addresses whose allowance is remembered.
MOST_KEPT = 10_000


_K = TypeVar("_K", int, str)


class Guarded(Protocol):
    """A socket whose right to be there is asked again and again."""

    principal: Principal

    async def withdraw(self) -> None:
        """The login no longer stands."""

    async def set_teams(self, teams: frozenset[UUID]) -> None:
        """The teams that the person belongs to now."""

    def topics_followed(self) -> int:
        """How many topics it has subscribed to."""


class Watch:
    """The sockets of one event loop."""

    def __init__(self) -> None:
        self._sockets: set[Guarded] = set()
        # Of each person's sockets together; kept for a while after the last one, or who opens
        # and closes would begin anew.
        self._allowances: dict[int, Allowance] = {}
        self._refusals: dict[str, Allowance] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, socket: Guarded) -> None:
        self._sockets.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def remove(self, socket: Guarded) -> None:
        self._sockets.discard(socket)  # the task ends by itself: it may be the one that calls

    def count(self, user_id: int) -> int:
        """How many sockets this person has open here."""
        return sum(1 for socket in self._sockets if socket.principal.user_id == user_id)

    def topics_of(self, user_id: int) -> int:
        """How many topics this person's sockets follow here."""
        mine = (socket for socket in self._sockets if socket.principal.user_id == user_id)
        return sum(socket.topics_followed() for socket in mine)

    def allowance(self, user_id: int) -> Allowance:
        """What is left to a person of frames from all their sockets here."""
        return _of(self._allowances, user_id, PERSON_PER_SECOND, PERSON_AT_ONCE)

    def may_note_refusal(self, address: str) -> bool:
        """Whether one more refused handshake of this address is worth a row of the audit."""
        return _of(self._refusals, address, REFUSALS_PER_SECOND, REFUSALS_AT_ONCE).take()

    async def _run(self) -> None:
        while self._sockets:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._check()
            except StateUnreadable:
                continue  # nobody can be shut out while the database is down, nor let in
            except Exception:
                logger.exception("the right to be there could not be checked")

    async def _check(self) -> None:
        sockets = list(self._sockets)
        teams = await read(standing, {socket.principal for socket in sockets})
        # Side by side: a client that does not even take its close must not hold up the others'.
        await asyncio.gather(
            *(
                socket.set_teams(teams[socket.principal])
                if socket.principal in teams
                else socket.withdraw()
                for socket in sockets
            ),
            return_exceptions=True,
        )


def _of(kept: dict[_K, Allowance], key: _K, per_second: float, at_once: float) -> Allowance:
    if key not in kept:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = Allowance(per_second, at_once)
    return kept[key]


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch() -> Watch:
    """The watch of the running event loop."""
    return _watches.setdefault(asyncio.get_running_loop(), Watch())
