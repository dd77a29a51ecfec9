"""Which team may log in with the server's own keys: files of the key directory, the SSH agent.

They belong to whoever runs the site, so superusers keep a list per team (`models.ServerKey`). It is
asked when a machine is stored, moved or tested, and again at every log-in. What a superuser gives
to a team's machine is put on that team's list.
"""

from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.models import Role, User
from accounts.policy import Caller, teams_with
from connections import wakeup
from connections.credentials import keys
from connections.models import AuthMethod, Connection, ServerKey, Transport
from core.errors import Invalid

# The path under which the SSH agent stands on the list.
AGENT = ""

_NOT_THE_AGENT = (
    "The server's SSH agent is not open to this team. A superuser opens it in the admin, "
    "under “Server keys”."
)
_NOT_THE_FILE = (
    "This is no key file that is open to the team. A superuser opens files of the server's key "
    "directory (DGX_SSH_KEY_DIR) in the admin, under “Server keys”."
)


def used_by(row: Connection) -> str | None:
    """What of the server's own the machine logs in with: a path, `AGENT`, or None."""
    if row.transport != Transport.SSH:
        return None
    if row.auth_method == AuthMethod.AGENT:
        return AGENT
    return row.ssh_key_path or None if row.auth_method == AuthMethod.KEY else None


def check(caller: Caller, row: Connection) -> None:
    """`Invalid` unless the row's team may use what it logs in with, or a superuser says so."""
    if caller.user.is_superuser or (problem := refusal(row)) is None:
        return
    raise Invalid.field("auth_method" if used_by(row) == AGENT else "ssh_key_path", problem)


def check_path(caller: Caller, team_id: UUID, path: str) -> None:
    """The same for a path that is yet to be looked at: the answer tells nothing about the disk."""
    if caller.user.is_superuser:
        return
    try:
        is_open = _is_listed(team_id, str(keys.key_path(path)))
    except Invalid:
        is_open = False
    if not is_open:
        raise Invalid.field("ssh_key_path", _NOT_THE_FILE)


def refusal(row: Connection) -> str | None:
    """Why the machine may not log in with what it names; None if it may."""
    used = used_by(row)
    if used is None or _is_listed(row.team_id, used):
        return None
    return _NOT_THE_AGENT if used == AGENT else _NOT_THE_FILE


def open_to(user: User, row: Connection | None = None) -> tuple[list[str], bool]:
    """Key files, and whether the agent, among which this person chooses; for a form's help.

    Of the row's team, or of all teams that the person administers.
    """
    entries = ServerKey.objects.filter(teams_with(user, Role.ADMINISTRATOR))
    if row is not None:
        entries = entries.filter(team_id=row.team_id)
    paths = set(entries.values_list("path", flat=True))
    return sorted(paths - {AGENT}), AGENT in paths


def open_to_team(caller: Caller, row: Connection) -> None:
    """Put what a superuser gave the machine on its team's list; in the row's transaction."""
    used = used_by(row)
    if used is None or not caller.user.is_superuser or _is_listed(row.team_id, used):
        return
    audit.record(caller, "server_key.open", row, key=used or "SSH agent")
    ServerKey.objects.get_or_create(team_id=row.team_id, path=used)


def close(caller: Caller, entry: ServerKey) -> None:
    """Take an entry off the list; what is held with it is tried anew, and refused."""
    rows = Connection.objects.filter(team_id=entry.team_id)
    with transaction.atomic():
        audit.record(caller, "server_key.close", entry, team=entry.team, key=str(entry))
        entry.delete()
        held = [row for row in rows if used_by(row) == entry.path]
        for row in held:
            row.session_changed()
        transaction.on_commit(lambda: wakeup.wake_keepers([row.pk for row in held]))


def _is_listed(team_id: UUID, path: str) -> bool:
    return ServerKey.objects.filter(team_id=team_id, path=path).exists()
