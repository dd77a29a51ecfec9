"""From checked input to a row: what a project would be, before anything is stored.

Everything here may take time (the machine is asked for the folder, a child process checks a
schema), so it runs outside transactions. It reads the database and writes nothing. Pages, API and
admin all come through `new` and `fill`.
"""

from typing import Any
from uuid import UUID

from accounts.auth import rate_limits
from accounts.policy import Caller
from connections import services as machines
from connections import visits
from connections.files import folders
from connections.models import Connection, Reason
from core import cleaner
from core.errors import FieldError, Invalid
from projects import hidden, schema_checks
from projects.models import Project

Fields = dict[str, Any]

# Each may log in to a machine, which costs that machine a process and the site a thread.
LOOKUPS_PER_MINUTE = 20

_PLAIN = ("name", "description", "project_type", "status")
# Beside these a machine still answers, or is just being asked.
_NO_TROUBLE = frozenset({"", Reason.STALE})


class FolderMissing(Invalid):
    """The folder is not there, and could be made."""

    code = "folder_missing"


class FolderUnusable(Invalid):
    code = "folder_unusable"


def new(caller: Caller, fields: Fields) -> Project:
    """The unsaved row; `NotFound`, `Forbidden` or `Invalid` if it may not be."""
    connection = machines.find(caller, fields["connection_id"], "project.create")
    row = Project(connection=connection, created_by=caller.user)
    fill(caller, row, fields)
    return row


def fill(caller: Caller, row: Project, fields: Fields) -> None:
    """Write the sent fields into `row`; the machine is asked only about a folder that is new."""
    _check_machine(row, fields.get("connection_id"))
    for name in _PLAIN:
        if name in fields:
            setattr(row, name, fields[name])
    if {"config_text", "schema_text"} & fields.keys():
        # What came back masked keeps the value that is there.
        text = hidden.kept(fields.get("config_text", row.config_text), row.config_text)
        written = schema_checks.check(caller, text, fields.get("schema_text", row.schema_text))
        row.config_text, row.schema_text = written.config_text, written.schema_text
    path, create = fields.get("remote_path", row.remote_path), fields.get("create_directory", False)
    if path != row.remote_path or (create and not row.resolved_path) or row._state.adding:
        row.remote_path = folders.check_path(path, "remote_path")
        place(caller, row, create=create)


def place(caller: Caller, row: Project, *, create: bool) -> None:
    """Fill in where the folder is; a machine that cannot be asked leaves a note instead.

    Raises `FolderMissing` or `FolderUnusable` when the machine says no,
    and `TooMany` when this person has asked too often in the last minute.
    """
    rate_limits.allow(caller, "folders.look", LOOKUPS_PER_MINUTE)
    row.resolved_path, row.path_note, row.create_directory = "", "", False
    try:
        with visits.take(caller):
            row.resolved_path = _ask(row.connection, row.remote_path, create=create)
    except folders.NotReached as error:
        row.path_note = cleaner.line(f"Not checked yet. {error.detail}", 500)
        row.create_directory = create
    except folders.NoFolder as error:
        raise refusal(error) from error


def refusal(error: folders.NoFolder) -> Invalid:
    """The machine's no, as an error of the field."""
    kind = FolderMissing if error.can_be_made else FolderUnusable
    return kind(error.detail, errors=(FieldError("remote_path", error.detail),))


def _ask(connection: Connection, text: str, *, create: bool) -> str:
    """A machine that is known to be in trouble is not waited for."""
    if connection.reason not in _NO_TROUBLE:
        raise folders.NotReached(connection.detail or "The machine is not connected.")
    return folders.resolve(connection, text, create=create)


def _check_machine(row: Project, connection_id: UUID | None) -> None:
    if connection_id is not None and connection_id != row.connection_id:
        raise Invalid.field("connection_id", "A project stays on its machine.")
