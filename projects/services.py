"""What people do with projects: called alike by pages, the API and the admin.

Each action finds the row among those the caller may see, locks it, asks the policy, and writes the
audit row and the change in one transaction. What asks a machine comes before; the right is then
asked again, since it may have ended meanwhile. Files on the machine are never deleted. A row that
the caller may not see is `NotFound`; what the role does not allow, `Forbidden`; what somebody else
has changed in between, `ChangedMeanwhile`.
"""

from contextlib import AbstractContextManager
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Role
from accounts.policy import Caller, one, one_locked
from connections import services as machines
from connections import ssh
from connections.files import folders
from connections.models import Connection
from core import cleaner
from core.errors import ChangedMeanwhile, SiteError, TooMany, Unavailable
from core.failures import conflict
from core.soft_delete import TrashQuerySet
from projects import attached, inputs
from projects.models import Project

# What a change may write, besides the columns that follow from these.
_COLUMNS = (
    "name",
    "description",
    "project_type",
    "status",
    "remote_path",
    "resolved_path",
    "path_note",
    "create_directory",
    "config_text",
    "schema_text",
)
_PATH = ("resolved_path", "path_note", "create_directory")
_CONFIG = frozenset({"config_text", "schema_text"})


class MachineUnreachable(Unavailable):
    code = "machine_unreachable"


def visible(caller: Caller) -> QuerySet[Project]:
    """The rows that the caller may see, ready to be shown."""
    return Project.objects.visible_to(caller.user).select_related("connection__team", "created_by")


def find(caller: Caller, project_id: UUID, action: str = "project.view") -> Project:
    """One row for one action."""
    return one(caller, visible(caller), project_id, action)


def create(caller: Caller, fields: inputs.Fields) -> Project:
    return add(caller, inputs.new(caller, fields))


def add(caller: Caller, row: Project) -> Project:
    """Store what `inputs.new` made; `Conflict` for a name that the machine already has."""
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        machines.find(caller, row.connection_id, "project.create")
        audit.record(caller, "project.create", row, path=row.remote_path)
        row.save(force_insert=True)
    return row


def change(
    caller: Caller, project_id: UUID, fields: inputs.Fields, *, revision: int | None = None
) -> Project:
    """Change what was sent; with `revision`, only if the row still is the one that was read."""
    row = find(caller, project_id, "project.change")
    _check_revision(row, revision)
    before = {name: getattr(row, name) for name in _COLUMNS}
    inputs.fill(caller, row, fields)
    changed = [name for name in _COLUMNS if getattr(row, name) != before[name]]
    if changed:
        # Configuration and schema were checked together: neither may have moved since.
        expected = row.revision if _CONFIG.intersection(changed) else revision
        _store(caller, row, changed, expected)
    return row


def delete(caller: Caller, project_id: UUID) -> Project:
    """Put it into the trash for 30 days; the folder on the machine stays as it is."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, visible(caller), project_id, "project.delete")
        attached.before_delete.call(row)
        audit.record(caller, "project.delete", row)
        row.move_to_trash()
    return row


def restore(caller: Caller, project_id: UUID) -> Project:
    """Take it out of the trash, as it was."""
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, _in_trash(caller, Role.VIEWER), project_id, "project.delete")
        audit.record(caller, "project.restore", row)
        row.take_from_trash()
    return row


def trash(caller: Caller) -> TrashQuerySet[Project]:
    """What the caller may take out of the trash again, the newest first."""
    return _in_trash(caller, Role.OPERATOR).order_by("-deleted_at")


def check_folder(caller: Caller, project_id: UUID) -> Project:
    """Ask the machine again; what it answers is kept, also a no."""
    row = find(caller, project_id, "project.change")
    create = row.create_directory
    try:
        inputs.place(caller, row, create=create)
    except TooMany:
        raise
    except SiteError as error:
        row.path_note = cleaner.line(error.detail, 500)
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        one_locked(caller, visible(caller), project_id, "project.change")
        audit.record(caller, "project.check", row, path=row.resolved_path or None)
        _keep_path(row)
    return row


def folder_of(project: Project, session: ssh.Session | None = None) -> str:
    """The absolute path of the folder; the machine is asked if that was not possible before.

    Uses `session` if there is one, else logs in. Never inside a transaction. Raises
    `MachineUnreachable`, or `Invalid` when the machine says no.
    """
    if project.resolved_path:
        return project.resolved_path
    try:
        path = _resolve(project, session)
    except folders.NotReached as error:
        raise MachineUnreachable(error.detail) from error
    except folders.NoFolder as error:
        raise inputs.refusal(error) from error
    project.resolved_path, project.path_note, project.create_directory = path, "", False
    _keep_path(project)
    return path


def note_activity(project_id: UUID) -> None:
    """Something happened in it just now, such as the start or end of a job."""
    Project.objects.filter(pk=project_id).update(last_activity_at=timezone.now())


def _resolve(project: Project, session: ssh.Session | None) -> str:
    text, create = project.remote_path, project.create_directory
    if session is None:
        return folders.resolve(project.connection, text, create=create)
    return folders.look_over(session, text, project.connection.username, create=create)


def _keep_path(row: Project) -> None:
    """Unless somebody has written another path meanwhile; not a change by a person."""
    values = {name: getattr(row, name) for name in _PATH}
    Project.objects.filter(pk=row.pk, remote_path=row.remote_path).update(**values)


def _store(caller: Caller, row: Project, changed: list[str], expected: int | None) -> None:
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        _check_revision(one_locked(caller, visible(caller), row.pk, "project.change"), expected)
        told = [name for name in changed if name not in _PATH]
        audit.record(caller, "project.change", row, fields=told)
        now = timezone.now()
        values = {name: getattr(row, name) for name in changed}
        Project.objects.filter(pk=row.pk).update(
            **values, revision=F("revision") + 1, updated_at=now, last_activity_at=now
        )
    row.refresh_from_db()


def _check_revision(row: Project, expected: int | None) -> None:
    if expected is not None and row.revision != expected:
        raise ChangedMeanwhile("Somebody has changed this project in the meantime.")


def _in_trash(caller: Caller, least: Role) -> TrashQuerySet[Project]:
    """Deleted projects of machines that are there."""
    machines = Connection.objects.visible_to(caller.user)
    if least == Role.OPERATOR:
        machines = Connection.objects.operable_by(caller.user)
    rows = Project.objects.in_trash().filter(connection__in=machines)
    return rows.select_related("connection__team", "created_by")


def _unique_name() -> AbstractContextManager[None]:
    """Around a write: the machine's second project of one name is a `Conflict`."""
    return conflict(
        "one_project_name_per_machine", "This machine already has a project of this name.", "name"
    )
