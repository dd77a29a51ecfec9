"""What people do with connections: called alike by pages, the API and the admin.

Each action finds the row among those the caller may see, locks it, asks the policy, writes the
audit row and the wish in one transaction, and wakes the keepers when that is committed. What takes
long comes before; the right is then asked again, of the row as it is by then. An action on a row
that the caller may not see raises `NotFound`; one that the role does not allow, `Forbidden`.
"""

from contextlib import AbstractContextManager
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import Role
from accounts.policy import Caller, one, one_locked, teams_with
from connections import inputs, transfer, wakeup
from connections.credentials import passwords, places, server_keys
from connections.models import Connection, ConnectionEvent, Status, Transport
from connections.ssh import host_keys
from core.errors import Conflict, Invalid
from core.failures import conflict
from core.soft_delete import TrashQuerySet

# What a PATCH may write, besides the columns that follow from these.
_COLUMNS = (
    "name",
    "team_id",
    "tags",
    "transport",
    "hostname",
    "port",
    "username",
    "auth_method",
    "ssh_key_path",
    "private_key_encrypted",
    "passphrase_encrypted",
    "password_encrypted",
    "public_key",
    "jump_connection_id",
    "ollama_port",
    "auto_connect",
    "host_key",
    "host_key_type",
)
_KEY_COLUMNS = (
    "host_key",
    "host_key_type",
    "offered_host_key",
    "password_encrypted",
    "updated_at",
)
# With which key of the server's own a machine logs in, and for whom.
_LOGIN_KEY = frozenset({"team_id", "auth_method", "ssh_key_path"})
_HARMLESS = frozenset({"name", "tags", "ollama_port", "auto_connect", "public_key"})


def visible(caller: Caller) -> QuerySet[Connection]:
    """The rows that the caller may see, ready to be shown."""
    return Connection.objects.visible_to(caller.user).select_related("team")


def find(caller: Caller, connection_id: UUID, action: str = "connection.view") -> Connection:
    """One row for one action."""
    return one(caller, visible(caller), connection_id, action)


def create(caller: Caller, fields: inputs.Fields) -> Connection:
    """Add a machine; with `auto_connect` it is wished connected at once."""
    return add(caller, inputs.new(caller, fields))


def add(caller: Caller, row: Connection) -> Connection:
    """Store what `inputs.new` made; `Conflict` for a name the team already has."""
    row.is_active = row.auto_connect
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        inputs.ask_again(caller, row)
        if row.transport == Transport.LOCAL:
            _refuse_second_local()
        audit.record(caller, "connection.create", row)
        row.save(force_insert=True)
        server_keys.open_to_team(caller, row)
        if row.is_active:
            _note_wish(caller, row, Status.CONNECTING)
        _wake_keepers(row)
    return row


def change(caller: Caller, connection_id: UUID, fields: inputs.Fields) -> Connection:
    """Change what was sent; a session that no longer fits is opened anew by its keeper."""
    draft = find(caller, connection_id, "connection.change")
    before = _columns(draft)
    if fields.get("team_id"):
        transfer.take(caller, draft, fields["team_id"])
    inputs.fill(caller, draft, fields)
    changed = [name for name, value in _columns(draft).items() if value != before[name]]
    if not changed:
        return draft
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, visible(caller), connection_id, "connection.change")
        if row.team_id != before["team_id"]:
            raise Conflict("It has moved to another team meanwhile; look, and try again.")
        place = places.of(row)
        old = transfer.take(caller, row, draft.team_id)
        for name in changed:
            setattr(row, name, getattr(draft, name))
        if "jump_connection_id" in changed:
            inputs.check_jump(caller, row)
        if old is not None:
            transfer.leave(caller, row, old)
        audit.record(caller, "connection.change", row, fields=[_told(name) for name in changed])
        row.save(update_fields=[*changed, "updated_at"])
        if _LOGIN_KEY & set(changed):
            server_keys.open_to_team(caller, row)
        passwords.carry_on_behind(row, place)
        if not _HARMLESS.issuperset(changed):
            row.session_changed()
        _wake_keepers(row)
    return row


def delete(caller: Caller, connection_id: UUID) -> None:
    """Put it into the trash for 30 days and let go of the machine."""
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, visible(caller), connection_id, "connection.delete")
        if Connection.objects.living().filter(jump_connection=row).exists():
            raise Conflict("Other machines are reached through this one.")
        audit.record(caller, "connection.delete", row)
        row.move_to_trash()
        row.wish(active=False)
        _wake_keepers(row)


def restore(caller: Caller, connection_id: UUID) -> Connection:
    """Take it out of the trash, disconnected."""
    with _unique_name(), transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, _in_trash(caller), connection_id, "connection.delete")
        if row.transport == Transport.LOCAL:
            _refuse_second_local()
        _refuse_lost_jump(row)
        audit.record(caller, "connection.restore", row)
        row.take_from_trash()
        _wake_keepers(row)
    return row


def trash(caller: Caller) -> TrashQuerySet[Connection]:
    """What the caller may take out of the trash again, the newest first."""
    return (
        _in_trash(caller)
        .filter(teams_with(caller.user, Role.ADMINISTRATOR))
        .order_by("-deleted_at")
    )


def connect(caller: Caller, connection_id: UUID) -> Connection:
    """Wish it held, and try at once if it waits for a retry."""
    return _wish(caller, connection_id, active=True)


def disconnect(caller: Caller, connection_id: UUID) -> Connection:
    """Wish it let go."""
    return _wish(caller, connection_id, active=False)


def accept_host_key(
    caller: Caller, connection_id: UUID, fingerprint: str, password: str | None = None
) -> Connection:
    """Pin exactly this key; the machine is tried again with it.

    In place of another key, a stored password has to be given again: `Invalid` on `password`.
    """
    find(caller, connection_id, "connection.host_key")
    host_keys.check_fingerprint(fingerprint, "fingerprint")
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, visible(caller), connection_id, "connection.host_key")
        if row.transport != Transport.SSH:
            raise Invalid.field("fingerprint", "The site's own machine has no host key.")
        old, before = row.host_key, passwords.Before.of(row)
        row.host_key, row.host_key_type, row.offered_host_key = fingerprint, "", ""
        if password:
            row.set_secret("password", password)
        else:
            before.settle(row)
        audit.record(caller, "connection.host_key", row, before=old, accepted=fingerprint)
        row.save(update_fields=_KEY_COLUMNS)
        passwords.carry_on_behind(row, before.place)
        row.session_changed()
        _wake_keepers(row)
    return row


def _wish(caller: Caller, connection_id: UUID, *, active: bool) -> Connection:
    with transaction.atomic():
        caller = audit.take_turn_of(caller)
        row = one_locked(caller, visible(caller), connection_id, "connection.connect")
        audit.record(caller, "connection.connect" if active else "connection.disconnect", row)
        if row.is_active != active:
            _note_wish(caller, row, Status.CONNECTING if active else Status.DISCONNECTED)
        row.wish(active=active)
        _wake_keepers(row)
    return row


def _note_wish(caller: Caller, row: Connection, wished: Status) -> None:
    """The line of the history that says who asked; what came of it, the keeper writes."""
    ConnectionEvent.objects.create(
        connection=row,
        from_status=row.status,
        to_status=wished,
        detail="Asked to connect." if wished == Status.CONNECTING else "Asked to disconnect.",
        actor=caller.user.get_username(),
    )


def _in_trash(caller: Caller) -> TrashQuerySet[Connection]:
    rows = Connection.objects.in_trash().filter(teams_with(caller.user, Role.VIEWER))
    return rows.select_related("team", "jump_connection")


def _refuse_lost_jump(row: Connection) -> None:
    """The way to it may have changed hands, or gone, while it lay in the trash."""
    jump = row.jump_connection
    if jump is None:
        return
    if jump.deleted_at:
        raise Conflict("Its jump host is in the trash; restore that first.")
    if jump.team_id != row.team_id:
        raise Conflict("Its jump host belongs to another team now; move that back first.")


def _refuse_second_local() -> None:
    if Connection.objects.living().filter(transport=Transport.LOCAL).exists():
        raise Conflict("The machine that the site runs on is already there.")


def _columns(row: Connection) -> dict[str, object]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _told(column: str) -> str:
    return column.removesuffix("_encrypted")


def _wake_keepers(row: Connection) -> None:
    transaction.on_commit(lambda: wakeup.wake_keepers([row.pk]))


def _unique_name() -> AbstractContextManager[None]:
    """Around a write: the team's second machine of one name is a `Conflict`."""
    return conflict(
        "one_connection_name_per_team", "The team already has a machine of this name.", "name"
    )
