"""What one socket still has to send: bounded, numbered, and never in the way of others.

Events wait here until the client has read what came before. A client that does not read fills the
box; then everything in it is thrown away and each topic gets a fresh state instead, read when its
turn comes. So a sleeping browser costs a fixed amount of memory and wakes up to the truth.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import orjson

logger = logging.getLogger(__name__)

# In characters, of which the longest take 4 bytes: at most 1 MiB for a socket.
MOST_WAITING = 256 * 1024
RETRY_SECONDS = 1.0

Load = Callable[[str], AsyncIterator[str]]
Send = Callable[[str], Awaitable[None]]


class StateUnreadable(Exception):
    """PostgreSQL or Redis does not answer; the state is asked for again."""


class Outbox:
    """`load(topic)` yields the data of the topic's state messages; `send` waits for the client;
    `watched` names the topics to renew when there was no more room.
    """

    def __init__(self, load: Load, send: Send, watched: Callable[[], Iterable[str]]) -> None:
        self._load = load
        self._send = send
        self._watched = watched
        self._numbers: Counter[str] = Counter()
        self._events: deque[tuple[str, str, str]] = deque()
        self._size = 0
        # Topics whose state is still to be read; a dict keeps their order.
        self._due: dict[str, None] = {}
        self._filled = asyncio.Event()

    @property
    def topics_numbered(self) -> int:
        """How many different topics this socket has ever been told about."""
        return len(self._numbers)

    def put(self, topic: str, event: str, data: str) -> None:
        """Send an event when its turn comes, or a state in its place."""
        if topic in self._due:
            return  # the state that is about to be read contains it
        self._events.append((topic, event, data))
        self._size += len(data)
        if self._size > MOST_WAITING:
            self._events.clear()
            self._size = 0
            self._due |= dict.fromkeys(self._watched())
        self._filled.set()

    def put_state(self, topic: str) -> None:
        """Send the state as it is when its turn comes; what waits of this topic is older."""
        self.forget(topic)
        self._due[topic] = None
        self._filled.set()

    def forget(self, topic: str) -> None:
        """Send nothing more of this topic."""
        self._due.pop(topic, None)
        if any(waiting[0] == topic for waiting in self._events):
            self._events = deque(waiting for waiting in self._events if waiting[0] != topic)
            self._size = sum(len(waiting[2]) for waiting in self._events)

    async def run(self) -> None:
        """Send for ever; ends with the error of `send` when the client is gone."""
        while True:
            await self._filled.wait()
            if self._due:
                await self._send_state(next(iter(self._due)))
            elif self._events:
                topic, event, data = self._events.popleft()
                self._size -= len(data)
                await self._send_numbered(topic, event, data)
            else:
                self._filled.clear()

    async def _send_state(self, topic: str) -> None:
        del self._due[topic]  # from here on, events are newer than what is read
        try:
            async for data in self._load(topic):
                await self._send_numbered(topic, "state", data)
        except StateUnreadable:
            await asyncio.sleep(RETRY_SECONDS)
            self.put_state(topic)

    async def _send_numbered(self, topic: str, event: str, data: str) -> None:
        self._numbers[topic] += 1
        name = orjson.dumps(topic).decode()
        number = self._numbers[topic]
        await self._send(f'{{"topic":{name},"event":"{event}","seq":{number},"data":{data}}}')
