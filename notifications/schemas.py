"""The grammar of what clients send about notifications, and the shape of what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictStr, StringConstraints

from core.openapi import Choice, Instant
from core.schemas import CHANGES, Input, Name, Output, Printable
from notifications.kinds import BY_NAME, KINDS, TEST, Severity, Way
from notifications.models import DeliveryStatus

ChannelKind = Annotated[Literal["apprise", "webhook"], Choice("ChannelKind")]
Url = Annotated[StrictStr, StringConstraints(min_length=1, max_length=2000), Printable]
Secret = Annotated[StrictStr, StringConstraints(max_length=500), Printable]

_OFFERED = frozenset(kind.name for kind in KINDS if Way.CHANNEL in kind.ways)


def _event(name: str) -> str:
    if name not in _OFFERED:
        raise ValueError("There is no such kind of event for channels.")
    return name


_EVENT = Choice("ChannelEvent", [kind.name for kind in KINDS if kind.name in _OFFERED])
EventName = Annotated[StrictStr, StringConstraints(max_length=100), AfterValidator(_event), _EVENT]
Events = Annotated[list[EventName], Field(max_length=100)]


class ChannelIn(Input):
    """A channel; without `team_id` it belongs to the caller's oldest team, without `secret` a
    webhook gets one, which this answer alone shows."""

    name: Name
    kind: ChannelKind = "apprise"
    url: Url
    secret: Secret | None = None
    events: Events | None = None
    team_id: UUID | None = None


class ChannelPatch(Input):
    """What is to change; a field that is not sent stays as it is."""

    model_config = CHANGES

    name: Name = ""
    kind: ChannelKind = "apprise"
    url: Url = ""
    secret: Secret | None = None
    events: Events | None = None


class ReadIn(Input):
    """Which notifications were read: some by their ids, or `all`."""

    ids: Annotated[tuple[UUID, ...], Field(max_length=500)] = ()
    all: StrictBool = False


class NotificationOut(Output):
    id: UUID
    kind: Annotated[str, Choice("EventKind", [*BY_NAME, TEST])]
    severity: Annotated[str, Choice("Severity", Severity.values)]
    title: str
    body: str
    link: str | None
    team_id: UUID
    object: dict[str, str] | None
    created_at: Instant
    read_at: Instant | None


class NotificationList(Output):
    items: list[NotificationOut]
    count: int
    unread: int


class UnreadOut(Output):
    unread: int


class ChannelOut(Output):
    id: UUID
    team_id: UUID
    name: str
    kind: ChannelKind
    url: str
    secret: str | None
    events: list[Annotated[str, _EVENT]]
    created_at: Instant


class ChannelList(Output):
    items: list[ChannelOut]
    count: int


class TestOut(Output):
    ok: bool
    detail: str


class TryOut(Output):
    at: Instant
    ok: bool
    detail: str
    duration_ms: int


class DeliveryOut(Output):
    event_id: UUID
    status: Annotated[str, Choice("DeliveryStatus", DeliveryStatus.values)]
    attempts: int
    due_at: Instant
    finished_at: Instant | None
    detail: str
    tries: list[TryOut]


class DeliveryList(Output):
    items: list[DeliveryOut]
    count: int
