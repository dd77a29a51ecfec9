"""A machine changes hands: what follows it into the other team, and what stays behind.

History, credentials and host key follow it, and a held session is opened anew, so that its readings
go to the new team alone. The old team keeps a line in its audit trail and what it was told, without
the way to a page that is no longer theirs; their open pages drop the machine. What an upper app
ties to a team asks for the machine's team whenever it is used.
"""

from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.models import Team
from accounts.policy import Caller
from connections import broadcast, inputs
from connections.models import Connection
from core.errors import Invalid
from notifications import events


def take(caller: Caller, row: Connection, team_id: UUID) -> Team | None:
    """Put the unsaved row into the other team; the one it leaves, None if it is there already.

    Raises `NotFound`, `Forbidden`, and `Invalid` for one end of a jump.
    """
    old = row.team
    if team_id == old.pk:
        return None
    row.team = inputs.team_to_administer(caller, team_id)
    if row.jump_connection_id or row.reached_through.filter(deleted_at=None).exists():
        raise Invalid.field("team_id", "A machine with jump hosts stays in its team.")
    return old


def leave(caller: Caller, row: Connection, old: Team) -> None:
    """Close what the old team has of it; part of the transaction that writes the row."""
    audit.record(caller, "connection.move", row, team=old, to=str(row.team))
    events.close_the_way(old, row)
    transaction.on_commit(lambda: broadcast.removed(old.pk, row.pk))
