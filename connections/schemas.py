"""The grammar of what clients send about connections, and the shape of what they get."""

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, StringConstraints

from connections import models
from core.openapi import Choice, Instant
from core.schemas import CHANGES, Input, Name, Output, Printable

_USERNAME = re.compile(r"[a-z_][a-z0-9_.-]{0,63}")


def username(text: str) -> str:
    """A POSIX account name; `ValueError` otherwise. Nothing in it can act in a command line."""
    if not _USERNAME.fullmatch(text):
        raise ValueError(
            "A user name starts with a lower-case letter or _, then letters, digits, . _ or -, "
            "64 at most."
        )
    return text


def without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("It holds a NUL.")
    return text


def distinct(tags: list[str]) -> list[str]:
    """Each tag once, in the given order."""
    return list(dict.fromkeys(tags))


Port = Annotated[StrictInt, Field(ge=1, le=65535)]
# One that is too long is told by the grammar as well.
Username = Annotated[StrictStr, StringConstraints(max_length=1000), AfterValidator(username)]
# Its grammar is `connections.hostnames.check_hostname`, which also gives hints.
Hostname = Annotated[StrictStr, StringConstraints(max_length=1000)]
Tag = Annotated[StrictStr, StringConstraints(min_length=1, max_length=50), Printable]
Tags = Annotated[list[Tag], Field(max_length=20), AfterValidator(distinct)]
KeyText = Annotated[StrictStr, StringConstraints(max_length=64 * 1024)]
Secret = Annotated[StrictStr, StringConstraints(max_length=1024), AfterValidator(without_nul)]
KeyPath = Annotated[StrictStr, StringConstraints(max_length=500), Printable]
HostKey = Annotated[StrictStr, StringConstraints(max_length=16 * 1024)]


Transport = Annotated[Literal["ssh", "local"], Choice("Transport")]
AuthMethod = Annotated[Literal["key", "password", "agent"], Choice("AuthMethod")]
Status = Annotated[str, Choice("ConnectionStatus", models.Status.values)]
Reason = Annotated[str, Choice("ConnectionReason", models.Reason.values)]
# What `connections.diagnose` goes through, in this order.
_STEPS = ("resolve", "tcp", "host_key", "auth", "shell", "gpu", "docker", "ollama")
StepName = Annotated[str, Choice("StepName", _STEPS)]


class ConnectionIn(Input):
    """A machine to add. Secrets are written and never read back; an empty one is none."""

    name: Name
    transport: Transport = "ssh"
    hostname: Hostname = ""
    port: Port = 22
    username: Username | Literal[""] = ""
    auth_method: AuthMethod = "key"
    private_key: KeyText | None = None
    passphrase: Secret | None = None
    password: Secret | None = None
    ssh_key_path: KeyPath | None = None
    generate_key: StrictBool = False
    jump_connection_id: UUID | None = None
    host_key: HostKey | None = None
    ollama_port: Port = 11434
    auto_connect: StrictBool = True
    tags: Tags = Field(default_factory=list)
    team_id: UUID | None = None


class ConnectionPatch(ConnectionIn):
    """What is to change; a field that is not sent stays as it is."""

    model_config = CHANGES

    name: Name = ""


class HostKeyIn(Input):
    """The fingerprint that a person has compared and accepts.

    In place of another key it takes the password too, if one is stored.
    """

    fingerprint: Annotated[StrictStr, StringConstraints(max_length=200)]
    password: Secret | None = None


class ConnectionOut(Output):
    id: UUID
    team_id: UUID
    name: str
    tags: list[str]
    transport: Transport
    hostname: str
    port: int
    username: str
    auth_method: AuthMethod
    ssh_key_path: str | None
    public_key: str | None
    jump_connection_id: UUID | None
    host_key: str | None
    offered_host_key: str | None
    ollama_port: int
    auto_connect: bool
    is_active: bool
    status: Status
    reason: Reason | None
    detail: str | None
    since: Instant | None
    retry_at: Instant | None
    uptime_seconds: int | None
    last_connected_at: Instant | None
    created_at: Instant
    updated_at: Instant


class ConnectionList(Output):
    items: list[ConnectionOut]
    count: int


class StatusOut(Output):
    status: Status
    reason: Reason | None
    detail: str | None
    connected: bool
    uptime_seconds: int | None
    since: Instant | None
    retry_at: Instant | None
    host_key: str | None
    offered_host_key: str | None


class EventOut(Output):
    at: Instant
    from_: Annotated[Status, Field(alias="from")]
    to: Status
    reason: Reason | None
    detail: str | None
    actor: str


class EventList(Output):
    items: list[EventOut]
    count: int


class StepOut(Output):
    name: StepName
    ok: bool
    detail: str | None
    hint: str | None


class StepsOut(Output):
    ok: bool
    steps: list[StepOut]
