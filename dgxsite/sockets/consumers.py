"""The sockets: who may open one, what a client may say, and what is sent in return.

A consumer lets in, listens, forwards and leaves; what is sent waits in its `Outbox`, what comes
from keepers in the `Hub`, whether the person may still be there in the `Watch`. The consumers join
no channel layer themselves, so no message can be dispatched to a handler by its name, and a socket
can be opened while Redis is down.

Close codes: 4401 no login, 4403 login or role withdrawn, 4400 a frame that is not understood, 1009
one that is too large, 1008 too many frames, 1013 no room or no database: try again later.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Any
from uuid import UUID

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts.policy import ACTIONS, action_of_topic
from core import topics as core_topics
from core.errors import TooMany
from core.web import request_turns
from dgxsite.sockets import snapshots
from dgxsite.sockets.access import Principal, admit, header, is_welcome, refused
from dgxsite.sockets.allowance import Allowance
from dgxsite.sockets.hub import Delivery, hub
from dgxsite.sockets.outbox import Outbox, StateUnreadable
from dgxsite.sockets.own_machine import sampler
from dgxsite.sockets.revalidate import watch

logger = logging.getLogger(__name__)

NO_LOGIN, WITHDRAWN, NOT_UNDERSTOOD = 4401, 4403, 4400
TOO_LARGE, TOO_MANY_FRAMES, TRY_LATER = 1009, 1008, 1013

MAX_FRAME_BYTES = 65_536
MAX_TOPICS = 1_000
# A socket that goes through more topics than this is not a page.
MAX_TOPICS_EVER = 4 * MAX_TOPICS
MAX_SOCKETS_PER_PERSON = 500
# A page sends a frame when the user does something; this is far above it.
FRAMES_PER_SECOND, FRAMES_AT_ONCE = 20.0, 100.0
# Of all of a person's sockets together; their frames are counted by the watch.
MAX_TOPICS_PER_PERSON = 10_000
_CLOSE_SECONDS = 3.0

_REFUSED = '{"code":"not_found","detail":"There is no such topic, or you may not see it."}'
_TOO_MANY = '{"code":"too_many_topics","detail":"A socket follows at most 1000 topics."}'
_TOO_MANY_OF_PERSON = (
    '{"code":"too_many_topics","detail":"All your sockets together follow at most 10000 topics."}'
)


def _has_room(user_id: int) -> bool:
    """Whether a person may open one more socket; opening one counts as a frame."""
    mine = watch()
    if mine.count(user_id) >= MAX_SOCKETS_PER_PERSON:
        return False
    return mine.allowance(user_id).take()


class NotUnderstood(Exception):
    """The frame is not one of the contract."""


class Socket(AsyncWebsocketConsumer):
    """What both sockets share: the handshake, the limits, and the end."""

    channel_layer_alias = "none"
    principal: Principal
    _is_open = False

    async def connect(self) -> None:
        if not is_welcome(self.scope, self.foreign_origins()):
            await self._note_refusal(403)
            await self.close()  # before the handshake is accepted, that is a 403
            return
        await self.accept()
        try:
            async with request_turns.taken(self.scope):
                admitted = await snapshots.read(admit, self.scope)
        except (StateUnreadable, TooMany):
            await self.close(TRY_LATER)
            return
        if admitted is None:
            if header(self.scope, b"authorization") is not None:
                await self._note_refusal(401)
            await self.close(NO_LOGIN)
        elif not _has_room(admitted[0].user_id):
            await self.close(TRY_LATER)
        else:
            self._begin(*admitted)

    async def _note_refusal(self, status: int) -> None:
        client = self.scope.get("client")
        if not watch().may_note_refusal(client[0] if client else ""):
            return
        with contextlib.suppress(StateUnreadable, TooMany):
            async with request_turns.taken(self.scope):
                await snapshots.read(refused, self.scope, status)

    def _begin(self, principal: Principal, teams: frozenset[UUID]) -> None:
        self.principal = principal
        self._allowance = Allowance(FRAMES_PER_SECOND, FRAMES_AT_ONCE)
        self.opened(teams)
        self._sending = asyncio.create_task(self._send_all())
        self._is_open = True
        watch().add(self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._is_open:
            return  # what comes before the client has seen our close
        if len(bytes_data or (text_data or "").encode()) > MAX_FRAME_BYTES:
            await self._end(TOO_LARGE)
        elif not (self._allowance.take() and watch().allowance(self.principal.user_id).take()):
            await self._end(TOO_MANY_FRAMES)
        else:
            try:
                await self.understood(parse(text_data))
            except NotUnderstood:
                await self._end(NOT_UNDERSTOOD)
            except StateUnreadable:
                await self._end(TRY_LATER)

    async def disconnect(self, code: int) -> None:
        self._stop()

    async def withdraw(self) -> None:
        await self._end(WITHDRAWN)

    async def set_teams(self, teams: frozenset[UUID]) -> None:
        """Nothing to do where teams do not matter."""

    def topics_followed(self) -> int:
        return 0

    # --- What the two differ in -----------------------------------------------------------------

    def foreign_origins(self) -> Collection[str]:
        return ()

    def opened(self, teams: frozenset[UUID]) -> None: ...
    async def understood(self, frame: dict[str, Any]) -> None: ...
    async def send_all(self) -> None: ...
    def closed(self) -> None: ...

    # --- Parts ----------------------------------------------------------------------------------

    async def _send_all(self) -> None:
        try:
            await self.send_all()
        except OSError:
            pass  # the client is gone; `disconnect` follows
        except Exception:
            logger.exception("a socket could not be served")
            await self._end(1011)

    async def _end(self, code: int) -> None:
        """Send nothing more, then close; a client that does not read does not delay it for long."""
        self._stop()
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close(code)

    def _stop(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        watch().remove(self)
        if asyncio.current_task() is not self._sending:
            self._sending.cancel()
        self.closed()


def parse(text: str | None) -> dict[str, Any]:
    """The client's frame: an action, and topics that are strings. Raises `NotUnderstood`."""
    if text is None:
        raise NotUnderstood
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotUnderstood from error
    if not isinstance(frame, dict) or frame.keys() != {"action", "topics"}:
        raise NotUnderstood
    topics = frame["topics"]
    if frame["action"] not in ("subscribe", "unsubscribe") or not isinstance(topics, list):
        raise NotUnderstood
    if not all(isinstance(topic, str) for topic in topics):
        raise NotUnderstood
    return frame


class LiveConsumer(Socket):
    """`/ws/live/`: topics of machines, the fleet and notifications, each with its state first."""

    def opened(self, teams: frozenset[UUID]) -> None:
        self._teams = teams
        self._own = core_topics.audience_of(self.principal.user_id)
        self._hub = hub()
        # Topic → whose it is, a team's or the person's own; None for topics that span teams.
        self._topics: dict[str, UUID | None] = {}
        self._outbox = Outbox(
            lambda topic: snapshots.of_topic(self.principal.user_id, topic),
            self._send_text,
            lambda: self._topics,
        )

    def closed(self) -> None:
        self._hub.leave({*self._teams, self._own}, self)
        self._topics = {}

    async def send_all(self) -> None:
        await self._hub.join({*self._teams, self._own}, self)  # before any state is read
        await self._outbox.run()

    async def understood(self, frame: dict[str, Any]) -> None:
        topics = list(dict.fromkeys(frame["topics"]))
        if frame["action"] == "unsubscribe":
            for topic in topics:
                if self._topics.pop(topic, topic) != topic:
                    self._outbox.forget(topic)
            return
        if self._outbox.topics_numbered + len(topics) > MAX_TOPICS_EVER:
            raise NotUnderstood
        granted = await self._granted(topics)
        for topic in topics:
            self._subscribe(topic, granted)

    def _subscribe(self, topic: str, granted: dict[str, UUID | None]) -> None:
        if topic not in granted:
            self._outbox.put(topic[:100], "error", _REFUSED)
        elif topic not in self._topics and (why := self._no_room()):
            self._outbox.put(topic, "error", why)
        else:
            self._topics[topic] = granted[topic]
            self._outbox.put_state(topic)

    def _no_room(self) -> str | None:
        """What is said of one topic more; None where there is room."""
        if len(self._topics) >= MAX_TOPICS:
            return _TOO_MANY
        together = watch().topics_of(self.principal.user_id)
        return _TOO_MANY_OF_PERSON if together >= MAX_TOPICS_PER_PERSON else None

    def topics_followed(self) -> int:
        return len(self._topics)

    async def _granted(self, topics: list[str]) -> dict[str, UUID | None]:
        """The topics that the person may follow, each with whose it is."""
        topics = [topic for topic in topics if action_of_topic(topic) in ACTIONS]
        always = {core_topics.FLEET: None, core_topics.NOTIFICATIONS: self._own}
        granted: dict[str, UUID | None] = {
            topic: always[topic] for topic in topics if topic in always
        }
        for prefix, teams_of in _OBJECTS.items():
            named = {topic: id for topic in topics if (id := _object_of(topic, prefix)) is not None}
            if named:
                ids = list(named.values())
                found = await snapshots.read(teams_of, self.principal.user_id, ids)
                granted |= {topic: found[id] for topic, id in named.items() if id in found}
        return granted

    # --- From the hub -----------------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> None:
        if core_topics.FLEET in self._topics:
            for event, data in delivery.fleet:
                self._outbox.put(core_topics.FLEET, event, data)
        for topic, event, data in delivery.items:
            if topic in self._topics:
                self._outbox.put(topic, event, data)

    def resync(self, team_id: UUID) -> None:
        for topic, team in self._topics.items():
            if team == team_id or (team is None and team_id != self._own):
                self._outbox.put_state(topic)

    async def set_teams(self, teams: frozenset[UUID]) -> None:
        if teams == self._teams:
            return
        lost, new = self._teams - teams, teams - self._teams
        if lost & set(self._topics.values()) or (lost and core_topics.FLEET in self._topics):
            await self.withdraw()
            return
        self._hub.leave(lost, self)
        self._teams = teams
        await self._hub.join(new, self)
        if new and core_topics.FLEET in self._topics:
            self._outbox.put_state(core_topics.FLEET)
        if core_topics.NOTIFICATIONS in self._topics:
            self._outbox.put_state(core_topics.NOTIFICATIONS)

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)


# The beginning of a topic that names an object → whose the objects are, of those one may see.
_OBJECTS = {
    core_topics.CONNECTION_PREFIX: snapshots.teams_of,
    core_topics.JOB_PREFIX: snapshots.teams_of_jobs,
}


def _object_of(topic: str, prefix: str) -> UUID | None:
    """The object of a `connection:<id>` or `job:<id>` topic in its one spelling, else None."""
    try:
        named = UUID(topic.removeprefix(prefix))
    except ValueError:
        return None
    return named if topic == f"{prefix}{named}" else None


class ThisMachineConsumer(Socket):
    """`/ws/metrics/`: the site's own machine once a second; a client has nothing to say here."""

    def foreign_origins(self) -> Collection[str]:
        return settings.CORS_ORIGINS

    def opened(self, teams: frozenset[UUID]) -> None:
        # One place: who reads slowly gets the newest, not a queue of old ones.
        self._latest: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        sampler().add(self)

    def closed(self) -> None:
        sampler().remove(self)

    async def send_all(self) -> None:
        while True:
            await self.send(text_data=await self._latest.get())

    def show(self, text: str) -> None:
        if self._latest.full():
            self._latest.get_nowait()
        self._latest.put_nowait(text)

    async def understood(self, frame: dict[str, Any]) -> None:
        raise NotUnderstood


class NoSuchSocket(AsyncWebsocketConsumer):
    """Any other address: the handshake is refused."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.close()
