"""What a restored database must not bring back to life: ways in, and messages that were sent.

A backup is a moment of the past. Who was logged in then, whose token was revoked since, which link
was used since: the rows cannot know. So all of it ends, whether or not it would still count.
Passwords, roles and second factors are part of what is restored, and stay.

The backup may be older than the code. What its tables lack yet, the next start's migrations make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from accounts.models import ApiToken, IdempotentAnswer, Invitation, SetupToken, User
from notifications.models import Delivery, DeliveryStatus

DROPPED = "The site was restored from a backup meanwhile."


@dataclass(frozen=True, slots=True)
class Ended:
    """A kind of row: which of them count, and what ends them; without a change they go."""

    words: str
    model: type[Model]
    living: Mapping[str, Any]
    change: Callable[[], Mapping[str, Any]] | None = None


def _now(*names: str) -> Callable[[], Mapping[str, Any]]:
    return lambda: dict.fromkeys(names, timezone.now())


ENDED = (
    Ended("logins", Session, {}),
    Ended("lines in the lists of logins", UserSession, {}),
    Ended("tokens", ApiToken, {"revoked_at": None}, _now("revoked_at")),
    Ended("invitations", Invitation, {"revoked_at": None, "accepted_at": None}, _now("revoked_at")),
    Ended("set-up links", SetupToken, {}),
    Ended("kept answers", IdempotentAnswer, {}),
    Ended("people's links that reset a password", User, {}, _now("links_from")),
    Ended(
        "messages on their way",
        Delivery,
        {"status__in": [DeliveryStatus.PENDING, DeliveryStatus.SENDING]},
        lambda: {
            "status": DeliveryStatus.DROPPED,
            "detail": DROPPED,
            "finished_at": timezone.now(),
            "claim": None,
            "claimed_until": None,
        },
    ),
)


@transaction.atomic
def end_all() -> dict[str, int]:
    """End everything of the table; how many there were of each kind."""
    return {kind.words: _end(kind) for kind in ENDED}


def _end(kind: Ended) -> int:
    change = kind.change() if kind.change is not None else None
    if not _has(kind.model, {*_columns(kind.living), *(change or ())}):
        return 0
    rows = kind.model._base_manager.filter(**kind.living)
    # By SQL alone: what hangs on these rows hangs on them in the database as well.
    return rows.update(**change) if change is not None else rows._raw_delete(rows.db)


def _columns(lookups: Mapping[str, Any]) -> list[str]:
    return [name.split("__")[0] for name in lookups]


def _has(model: type[Model], names: set[str]) -> bool:
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return False
        found = connection.introspection.get_table_description(cursor, table)
    columns = {one.name for one in found}
    fields = {one.name: one.column for one in model._meta.concrete_fields}
    return all(fields[name] in columns for name in names)
