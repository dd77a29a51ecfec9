"""What the pages about one machine need to know, beside the row itself."""

from typing import Any

from accounts.models import Membership, Role, User
from accounts.policy import role_in, teams_with
from connections.models import Connection

EVENTS = 20


def machine_context(user: User, connection: Connection) -> dict[str, Any]:
    """The row and what this person may do with it."""
    role = role_in(user, connection.team)
    return {
        "connection": connection,
        "may_operate": role in (Role.OPERATOR, Role.ADMINISTRATOR),
        "may_administer": role == Role.ADMINISTRATOR,
    }


def connection_tab(connection: Connection) -> dict[str, Any]:
    """The history and the jump host, as far as there are any."""
    jump = connection.jump_connection
    return {
        "events": list(connection.events.all()[:EVENTS]),
        "jump": jump if jump is not None and jump.deleted_at is None else None,
    }


def may_add(user: User) -> bool:
    """Whether there is a team to which this person may add a machine."""
    if user.is_superuser:
        return True
    return Membership.objects.filter(user=user, role=Role.ADMINISTRATOR).exists()


def deleted_by(user: User, text: str) -> Connection | None:
    """The machine that `?deleted=` names, if the person may bring it back and it is fresh."""
    return Connection.objects.filter(teams_with(user, Role.ADMINISTRATOR)).just_deleted(text)
