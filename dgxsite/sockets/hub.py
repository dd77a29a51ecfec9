"""One ear per web process: batches come in once and go out to every socket that watches.

The channel layer may lose messages, and Redis may go away. Each batch carries the number of its
stream; a gap, or a time in which our own echo did not come back, means that sockets may have
missed something: they are told to send a fresh state.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from core import topics

logger = logging.getLogger(__name__)

TEND_SECONDS = 2.0
# A stream first heard this soon after joining began before we listened: that is no gap.
_SETTLING_SECONDS = 5.0
_FORGET_STREAM_SECONDS = 600.0
_FAILURES = (RedisError, OSError, TimeoutError)


class Delivery:
    """A batch as the sockets want it; what many of them need is made once."""

    def __init__(self, team_id: UUID, items: Iterable[tuple[str, str, bytes]]) -> None:
        self.team_id = team_id
        self.items = [
            (topic, event, data.decode())
            for topic, event, data in items
            if len(data) <= topics.MAX_DATA_BYTES
        ]

    @cached_property
    def fleet(self) -> list[tuple[str, str]]:
        """`(event, data)` for the fleet topic: states and alerts as they are, samples in few
        messages."""
        of_machines = [
            (event, data)
            for topic, event, data in self.items
            if topic.startswith(topics.CONNECTION_PREFIX)
        ]
        events = [(event, data) for event, data in of_machines if event in ("status", "alert")]
        samples = [data for event, data in of_machines if event == "sample"]
        joined = [",".join(chunk) for chunk in packed(samples)]
        return events + [("sample", f'{{"samples":[{text}]}}') for text in joined]


def packed(parts: Iterable[str], room: int = topics.MAX_DATA_BYTES - 64) -> Iterable[list[str]]:
    """The parts in as few groups as fit `room` bytes each, commas included."""
    chunk: list[str] = []
    size = 0
    for part in parts:
        length = len(part.encode()) + 1
        if chunk and size + length > room:
            yield chunk
            chunk, size = [], 0
        chunk.append(part)
        size += length
    if chunk:
        yield chunk


class Listener(Protocol):
    """A socket, as the hub knows it. Both methods return at once."""

    def deliver(self, delivery: Delivery) -> None: ...
    def resync(self, team_id: UUID) -> None:
        """Something of this team may have been missed."""


class Hub:
    """The groups that sockets of this event loop need, and who gets what comes from them."""

    def __init__(self) -> None:
        self._listeners: dict[UUID, set[Listener]] = {}
        self._joined: dict[UUID, float] = {}
        self._streams: dict[str, tuple[int, float]] = {}
        self._channel: str | None = None
        self._sent_echo = self._heard_echo = 0
        self._is_deaf = False
        self._joining = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._attempts: set[asyncio.Task[None]] = set()

    async def join(self, team_ids: Iterable[UUID], listener: Listener) -> None:
        """Hear these teams from now on; with Redis down, from when it is back."""
        for team_id in team_ids:
            self._listeners.setdefault(team_id, set()).add(listener)
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._tend_for_ever()))
        if self._is_deaf:
            return  # tending joins as soon as it can; nobody waits for it one after the other
        # A socket that closes meanwhile must not cut off a command on the shared connection.
        joining = asyncio.create_task(self._try_to_join())
        self._attempts.add(joining)
        joining.add_done_callback(self._attempts.discard)
        await asyncio.shield(joining)

    def leave(self, team_ids: Iterable[UUID], listener: Listener) -> None:
        for team_id in team_ids:
            self._listeners.get(team_id, set()).discard(listener)

    # --- Groups -----------------------------------------------------------------------------

    async def _try_to_join(self) -> None:
        try:
            await self._join_missing()
        except _FAILURES:
            self._is_deaf = True

    async def _join_missing(self, *, late: bool = False) -> None:
        async with asyncio.timeout(settings.REDIS_TIMEOUT_SECONDS), self._joining:
            layer = get_channel_layer()
            if self._channel is None:
                self._channel = await layer.new_channel()
                self._tasks.append(asyncio.create_task(self._listen(self._channel)))
            for team_id in [team for team in self._listeners if team not in self._joined]:
                await layer.group_add(topics.team_group(team_id), self._channel)
                self._joined[team_id] = time.monotonic()
                if late:
                    self._resync(team_id)

    async def _leave_empty(self) -> None:
        async with asyncio.timeout(settings.REDIS_TIMEOUT_SECONDS), self._joining:
            for team_id in [team for team, who in self._listeners.items() if not who]:
                del self._listeners[team_id]
                for stream in [name for name in self._streams if name.endswith(team_id.hex)]:
                    del self._streams[stream]
                if self._joined.pop(team_id, None) is not None:
                    group = topics.team_group(team_id)
                    await get_channel_layer().group_discard(group, self._channel)

    async def _tend_for_ever(self) -> None:
        failing = False
        while _goes_on():
            await asyncio.sleep(TEND_SECONDS)
            try:
                await self._join_missing(late=True)
                await self._leave_empty()
                await self._send_echo()
                failing = False
            except _FAILURES as error:
                self._is_deaf = True
                if not failing:
                    logger.warning("sockets hear nothing until Redis is back: %r", error)
                failing = True
            except Exception:
                logger.exception("tending the sockets' groups failed")

    async def _send_echo(self) -> None:
        """Hear ourselves: a subscription that died without an error is found within two rounds."""
        if self._channel is None:
            return
        if self._heard_echo != self._sent_echo:
            self._is_deaf = True
        self._sent_echo += 1
        echo = {"type": "live.echo", "number": self._sent_echo}
        async with asyncio.timeout(settings.REDIS_TIMEOUT_SECONDS):
            await get_channel_layer().send(self._channel, echo)

    # --- Messages ---------------------------------------------------------------------------

    async def _listen(self, channel: str) -> None:
        layer = get_channel_layer()
        while _goes_on():
            try:
                message = await layer.receive(channel)
                self._take(message)
            except Exception:  # one bad message must not end hearing
                logger.exception("a message from the channel layer was not understood")
                await asyncio.sleep(0.1)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "live.echo":
            self._take_echo(message["number"])
            return
        team_id = UUID(message["team"])
        if self._is_gap(team_id, message["stream"], message["number"]):
            self._resync(team_id)
            return
        delivery = Delivery(team_id, message["items"])
        for listener in list(self._listeners.get(team_id, ())):
            listener.deliver(delivery)

    def _take_echo(self, number: int) -> None:
        self._heard_echo = number
        if self._is_deaf:
            self._is_deaf = False
            for team_id in self._listeners:
                self._resync(team_id)
        oldest = time.monotonic() - _FORGET_STREAM_SECONDS
        for stream in [name for name, (_, heard) in self._streams.items() if heard < oldest]:
            del self._streams[stream]

    def _is_gap(self, team_id: UUID, stream: str, number: int) -> bool:
        now = time.monotonic()
        known = self._streams.get(stream)
        self._streams[stream] = (number, now)
        if known is not None:
            return number != known[0] + 1
        is_settled = now - self._joined.get(team_id, now) > _SETTLING_SECONDS
        return is_settled and number != 1

    def _resync(self, team_id: UUID) -> None:
        for listener in list(self._listeners.get(team_id, ())):
            listener.resync(team_id)


def _goes_on() -> bool:
    """Whether nobody has cancelled this task: on its way through the Redis client a cancellation
    can turn into an ordinary failure, and the loop would outlive its process's wish to stop.
    """
    task = asyncio.current_task()
    return task is None or not task.cancelling()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop; a web process has one."""
    return _per_loop(_hubs, Hub)


def _per_loop(
    made: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub], make: Callable[[], Hub]
) -> Hub:
    loop = asyncio.get_running_loop()
    if loop not in made:
        made[loop] = make()
    return made[loop]
