"""The grammar of what clients send about projects, and the shape of what they get."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictStr, StringConstraints

from core.openapi import Choice, Instant
from core.pagination import Page
from core.schemas import CHANGES, Input, Name, Output, Printable, printable, prose

LONGEST_DESCRIPTION = 2000


def kind(text: str) -> str:
    """A project's type without outer blanks; `ValueError` unless 1 to 50 characters are left."""
    text = printable(text).strip()
    if not 1 <= len(text) <= 50:
        raise ValueError("It has 1 to 50 characters.")
    return text


Description = Annotated[
    StrictStr, StringConstraints(max_length=LONGEST_DESCRIPTION), AfterValidator(prose)
]
Kind = Annotated[StrictStr, StringConstraints(max_length=1000), AfterValidator(kind)]
# Its grammar is `connections.files.folders.check_path`.
RemotePath = Annotated[StrictStr, StringConstraints(max_length=10_000)]
ProjectStatus = Annotated[Literal["active", "paused", "archived"], Choice("ProjectStatus")]


class ProjectIn(Input):
    """A project to add: a folder of a machine."""

    connection_id: UUID
    name: Name
    description: Description = ""
    project_type: Kind = "training"
    remote_path: RemotePath
    create_directory: StrictBool = False
    status: ProjectStatus = "active"
    config: dict[str, Any] = Field(default_factory=dict)
    config_schema: dict[str, Any] | None = None


class ProjectPatch(ProjectIn):
    """What is to change; a field that is not sent stays as it is."""

    model_config = CHANGES

    connection_id: UUID | None = None  # type: ignore[assignment]  # a project stays on its machine
    name: Name = ""
    remote_path: RemotePath = ""


class ProjectFilter(Page):
    """Which projects are listed."""

    connection_id: UUID | None = None
    status: ProjectStatus | None = None
    project_type: Annotated[StrictStr, StringConstraints(max_length=50), Printable] | None = None
    q: Annotated[StrictStr, StringConstraints(max_length=100), Printable] = ""


class ProjectOut(Output):
    id: UUID
    connection_id: UUID
    name: str
    description: str
    project_type: str
    status: ProjectStatus
    remote_path: str
    resolved_path: str | None
    path_note: str | None
    config: dict[str, Any]
    config_schema: dict[str, Any] | None
    revision: int
    created_by: str | None
    last_activity_at: Instant
    created_at: Instant
    updated_at: Instant


class ProjectList(Output):
    items: list[ProjectOut]
    count: int
