"""A stored password goes to the place it was given for; elsewhere it has to be given again.

The encryption itself refuses to open it for another place (`connections.credentials.places`). Here
are the rules around a change: a first acceptance of a host key is no change, so the password is
bound anew; for anything else the person is asked, or it is forgotten where it is not in use.
"""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from connections.credentials import places
from connections.models import AuthMethod, Connection
from core.errors import Invalid
from core.security.crypto import SecretUnreadable

AGAIN = (
    "Give the password again: the stored one was given for the host, port, user, jump host and "
    "host key as they were, and is not sent to any other."
)


@dataclass(frozen=True, slots=True)
class Before:
    """A row's place before a change, and the password that opens there; None: there is none."""

    place: places.Place
    password: str | None

    @classmethod
    def of(cls, row: Connection) -> Self:
        return cls(places.of(row), _opened(row))

    def settle(self, row: Connection) -> None:
        """After a change that brought no password: carry on, forget it, or `Invalid`."""
        now = places.of(row)
        if not row.password_encrypted or now == self.place:
            return
        if self.password is not None and places.is_first_acceptance(self.place, now):
            row.set_secret("password", self.password)
        elif row.auth_method != AuthMethod.PASSWORD:
            row.set_secret("password", "")
        elif _opened(row) is None:  # else it leads back to where the password was given for
            raise Invalid.field("password", AGAIN)


def carry_on_behind(jump: Connection, before: places.Place) -> None:
    """Bind the passwords of what is reached through `jump` anew, if its first key was accepted.

    Part of the transaction that stores `jump`. A password is opened for the place where its row
    led a moment ago, as the locked row itself says it, so that no other change slips in between.
    """
    if not places.is_first_acceptance(before, places.of(jump)):
        return
    for key in _reached_through(jump):
        row = Connection.objects.select_for_update(of=("self",)).get(pk=key)
        password = _opened(row, places.without_key(places.of(row), str(jump.pk)))
        if password is not None:
            row.set_secret("password", password)
            row.save(update_fields=["password_encrypted"])


def _reached_through(jump: Connection) -> list[UUID]:
    """Every machine behind `jump`, in the trash or not, however far."""
    found: list[UUID] = []
    ends: list[UUID] = [jump.pk]
    for _ in range(places.LONGEST_CHAIN):
        behind = Connection.objects.filter(jump_connection_id__in=ends)
        ends = list(behind.values_list("pk", flat=True))
        found += ends
    return found


def _opened(row: Connection, place: places.Place | None = None) -> str | None:
    try:
        return row.secret("password", row.secret_context("password", place))
    except SecretUnreadable:
        return None
