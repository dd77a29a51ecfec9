"""The grammar of what clients send about people, and the shape of what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from core.openapi import Choice, Instant
from core.schemas import Input, Moment, Name, Output, Printable

Scope = Annotated[Literal["read", "operate", "admin"], Choice("Scope")]
Role = Annotated[Literal["viewer", "operator", "administrator"], Choice("Role")]
Login = Annotated[StrictStr, StringConstraints(min_length=1, max_length=150), Printable]
Email = Annotated[StrictStr, StringConstraints(max_length=254), Printable]
Password = Annotated[StrictStr, StringConstraints(max_length=1024)]


class TokenIn(Input):
    """A token for scripts; without `days` it does not expire."""

    name: Name
    scope: Scope = "read"
    days: Annotated[StrictInt, Field(ge=1, le=3650)] | None = None


class TeamIn(Input):
    name: Name


class MemberIn(Input):
    """Who joins, by one of the two, and what they may do."""

    username: Login | None = None
    email: Email | None = None
    role: Role = "viewer"


class RoleIn(Input):
    role: Role


class InvitationIn(Input):
    """A link for one person; with an address it is sent there too."""

    role: Role = "viewer"
    email: Email = ""


class AuditQuery(BaseModel):
    """Which rows of the audit trail; a time is ISO 8601 with its zone."""

    model_config = ConfigDict(frozen=True)

    actor: Annotated[StrictStr, StringConstraints(max_length=150), Printable] = ""
    action: Annotated[StrictStr, StringConstraints(max_length=60), Printable] = ""
    object: Annotated[StrictStr, StringConstraints(max_length=255), Printable] = ""
    since: Moment | None = None
    until: Moment | None = None


class UserIn(Input):
    """A person; without a password they cannot log in until one is set."""

    username: Login
    email: Email = ""
    password: Password | None = None


class UserPatch(Input):
    is_active: StrictBool


class TokenOut(Output):
    id: UUID
    name: str
    scope: Scope
    hint: str
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None


class NewTokenOut(TokenOut):
    """The only answer that ever holds the secret."""

    token: str


class TeamOut(Output):
    id: UUID
    name: str
    role: Role | None
    created_at: Instant


class MemberOut(Output):
    user_id: int
    username: str
    email: str
    role: Role
    is_active: bool
    created_at: Instant


class InvitationOut(Output):
    id: UUID
    role: Role
    email: str | None
    created_at: Instant
    expires_at: Instant


class NewInvitationOut(InvitationOut):
    """The only answer that ever holds the link."""

    link: str
    sent: bool


class InvitationList(Output):
    items: list[InvitationOut]
    count: int


class UserOut(Output):
    id: int
    username: str
    email: str
    is_active: bool
    is_superuser: bool
    last_login: Instant | None
    created_at: Instant


class AuditOut(Output):
    id: int
    at: Instant
    actor: str
    token: str | None
    team_id: UUID | None
    action: str
    object_type: str | None
    object_id: str | None
    object_name: str | None
    address: str | None
    detail: dict[str, object]


class TokenList(Output):
    items: list[TokenOut]
    count: int


class TeamList(Output):
    items: list[TeamOut]
    count: int


class MemberList(Output):
    items: list[MemberOut]
    count: int


class UserList(Output):
    items: list[UserOut]
    count: int


class AuditList(Output):
    items: list[AuditOut]
    count: int
