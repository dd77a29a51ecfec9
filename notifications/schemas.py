"""The grammar of what clients send about notifications, and the shape of what they get."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictStr, StringConstraints

from core.schemas import Input, Name, Output, Printable
from notifications.kinds import KINDS, Way

ChannelKind = Literal["apprise", "webhook"]
Url = Annotated[StrictStr, StringConstraints(min_length=1, max_length=2000), Printable]
Secret = Annotated[StrictStr, StringConstraints(max_length=500), Printable]

_OFFERED = frozenset(kind.name for kind in KINDS if Way.CHANNEL in kind.ways)


def _event(name: str) -> str:
    if name not in _OFFERED:
        raise ValueError("There is no such kind of event for channels.")
    return name


EventName = Annotated[StrictStr, StringConstraints(max_length=100), AfterValidator(_event)]
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
    id: str
    kind: str
    severity: str
    title: str
    body: str
    link: str | None
    team_id: str
    object: dict[str, str] | None
    created_at: str
    read_at: str | None


class NotificationList(Output):
    items: list[NotificationOut]
    count: int
    unread: int


class UnreadOut(Output):
    unread: int


class ChannelOut(Output):
    id: str
    team_id: str
    name: str
    kind: str
    url: str
    secret: str | None
    events: list[str]
    created_at: str


class ChannelList(Output):
    items: list[ChannelOut]
    count: int


class TestOut(Output):
    ok: bool
    detail: str


class DeliveryOut(Output):
    event_id: str
    status: str
    attempts: int
    due_at: str
    finished_at: str | None
    detail: str
    tries: list[dict[str, Any]]


class DeliveryList(Output):
    items: list[DeliveryOut]
    count: int
