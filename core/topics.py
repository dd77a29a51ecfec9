"""Topics, groups and sending: everything that is pushed to a browser leaves through `publish`.

A push is a hint with a number: the state it announces is already in PostgreSQL or Redis, so a lost
push loses nothing. Each process numbers its batches per team; a web process that sees a gap sends
a fresh state instead (`dgxsite/sockets/hub.py`).

Groups are per team, which is the scope of visibility: who may see one machine of a team may see
all of them. What concerns one person alone goes to a group of that person's sockets. Sending
happens in one long-lived event loop on a thread of its own, because the channel layer keeps its
Redis connection per loop. Redis down: batches are dropped and counted, said once in the log, and
the next ones go through as soon as it is back. This file imports no app.
"""

import asyncio
import logging
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import orjson
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from core.background.threads import Loop

logger = logging.getLogger(__name__)

FLEET = "fleet"
NOTIFICATIONS = "notifications"
CONNECTION_PREFIX = "connection:"
JOB_PREFIX = "job:"

# The namespace in which persons have ids beside those of the teams, which are random.
_PEOPLE = uuid.uuid5(uuid.NAMESPACE_OID, "dgxsite.person")

# A frame has 64 KiB; what is left holds topic, event and number.
MAX_DATA_BYTES = 64_000
# Batches that wait longer than this are outdated by a newer sample anyway.
STALE_SECONDS = 5.0
MAX_WAITING = 256


@dataclass(frozen=True, slots=True)
class Item:
    """One event of one topic; `data` is JSON, serialised once for all who watch."""

    topic: str
    event: str
    data: bytes


class Batch(TypedDict):
    """The one message type on the channel layer; `items` are `[topic, event, data]`."""

    type: str
    team: str
    stream: str
    number: int
    items: list[tuple[str, str, bytes]]


class _Waiting(NamedTuple):
    group: str
    batch: Batch
    since: float


def connection_topic(connection_id: UUID) -> str:
    return f"{CONNECTION_PREFIX}{connection_id}"


def job_topic(job_id: UUID) -> str:
    return f"{JOB_PREFIX}{job_id}"


def audience_of(user_id: int) -> UUID:
    """One person's sockets, in the place of a team: an id that no team can have."""
    return uuid.uuid5(_PEOPLE, str(user_id))


def team_group(team_id: UUID) -> str:
    """The channel-layer group of everybody who may see the team's machines, or of a person."""
    return f"team.{team_id.hex}"


_SHORT = ("status", "reason", "detail", "retry_at")


def status_item(connection: Mapping[str, Any]) -> Item:
    """A `status` event from a connection as the API shows it; the short answer stands beside it."""
    short = {name: connection[name] for name in _SHORT if name in connection}
    data = orjson.dumps({"connection": dict(connection)} | short)
    return Item(f"{CONNECTION_PREFIX}{connection['id']}", "status", data)


def deleted_item(connection_id: UUID) -> Item:
    """A `status` event that says: this machine is no longer there for you."""
    return status_item({"id": str(connection_id), "deleted": True})


def publish(team_id: UUID, items: Sequence[Item]) -> None:
    """Send `items` as one message to who may see the team's machines; returns at once.

    Safe from every thread. Never raises for a Redis that is down.
    """
    if items:
        _sender().put(team_id, [(item.topic, item.event, item.data) for item in items])


def publish_to_person(user_id: int, items: Sequence[Item]) -> None:
    """The same for the pages of one person, and nobody else."""
    publish(audience_of(user_id), items)


def dropped() -> int:
    """How many batches this process could not send."""
    return _sender().dropped


class _Sender:
    """The process's sending loop and its numbers."""

    def __init__(self) -> None:
        self.dropped = 0
        self._stream = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._numbers: Counter[UUID] = Counter()
        self._waiting = 0
        self._failing = False
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = Loop("live", "showing what changes on the pages", self._run)
        self._thread.start()

    def put(self, team_id: UUID, items: list[tuple[str, str, bytes]]) -> None:
        with self._lock:  # the number and its place in the queue belong together
            self._numbers[team_id] += 1  # also for what is dropped: that makes the gap visible
            if self._waiting >= MAX_WAITING:
                self.dropped += 1
                return
            self._waiting += 1
            number = self._numbers[team_id]
            batch = Batch(
                type="live.batch",
                team=str(team_id),
                stream=f"{self._stream}.{team_id.hex}",
                number=number,
                items=items,
            )
            waiting = _Waiting(team_group(team_id), batch, time.monotonic())
            self._loop.call_soon_threadsafe(self._queue.put_nowait, waiting)
        self._thread.revive()  # a web process has no other that looks

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        while True:
            waiting = await self._queue.get()
            with self._lock:
                self._waiting -= 1
            if time.monotonic() - waiting.since > STALE_SECONDS:
                self.dropped += 1
                continue
            try:
                async with asyncio.timeout(settings.REDIS_TIMEOUT_SECONDS):
                    await get_channel_layer().group_send(waiting.group, waiting.batch)
                self._failing = False
            except (RedisError, OSError, TimeoutError) as error:
                self._failed(error)
            except Exception:  # the thread outlives whatever one message does
                self.dropped += 1
                logger.exception("a batch could not be sent")

    def _failed(self, error: Exception) -> None:
        self.dropped += 1
        if not self._failing:
            logger.warning("pushes are dropped until Redis is back: %r", error)
        self._failing = True


_the_sender: _Sender | None = None
_making = threading.Lock()


def _sender() -> _Sender:
    global _the_sender  # one per process, made when first needed
    with _making:
        if _the_sender is None:
            _the_sender = _Sender()
        return _the_sender


def _forget_sender() -> None:
    """A forked child has the object but not its thread."""
    global _the_sender, _making
    _the_sender, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_sender)
