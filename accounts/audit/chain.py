"""Write down what somebody is about to do, in the transaction that does it.

Writers take turns, each until its transaction ends, so that the rows form one chain. A transaction
that locks other rows before it records takes its turn first: two that wait for each other's locks
would otherwise both hang. `manage.py audit_verify` reads the chain back.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection, models

from accounts.models import ApiToken, AuditEvent, AuditHead, Team, User
from accounts.policy import Caller
from core import cleaner
from core.errors import Unauthorized

# Characters of each text in a row's detail; a path is the longest of them.
LONGEST_DETAIL = 5000


def record(
    caller: Caller | None,
    action: str,
    subject: models.Model | None = None,
    *,
    team: Team | None = None,
    **detail: Any,
) -> AuditEvent:
    """One audit row; `caller` None is the site itself. `detail` never holds a secret."""
    return AuditEvent.objects.create(
        actor=caller.user if caller else None,
        actor_name=caller.user.get_username() if caller else "dgxsite",
        token_name=caller.token.name if caller and caller.token else "",
        address=caller.address if caller else None,
        team=team or _team_of(subject),
        action=action,
        object_type=subject._meta.label_lower if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        object_name=cleaner.line(str(subject), 255) if subject is not None else "",
        detail=cleaner.values(detail, LONGEST_DETAIL),
    )


def take_turn() -> None:
    """Be the only writer until this transaction ends; `OperationalError` after five seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_turn()")


def take_turn_of(caller: Caller) -> Caller:
    """Take the turn, and the caller as the database knows them by then, to ask a right of it.

    What was asked before a slow check, or before the wait for this turn, may hold no more; who
    takes a right away waits for the turn as well. `Unauthorized` for who may not even log in now.
    """
    take_turn()
    if caller.token is None:
        person = User.objects.filter(pk=caller.user.pk, is_active=True).first()
        if person is None:
            raise Unauthorized
        return Caller(person, address=caller.address)
    token = ApiToken.living().select_related("user").filter(pk=caller.token.pk).first()
    if token is None:
        raise Unauthorized
    return Caller(token.user, token, caller.address)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a row that cannot come from the site."""

    row_id: int
    problem: str


_BROKEN = """
    WITH linked AS (
        SELECT event.id, event.hash, event.previous_hash, audit_digest(event) AS digest,
               coalesce(lag(event.id) OVER (ORDER BY event.id), 0) AS last_id,
               coalesce(lag(event.hash) OVER (ORDER BY event.id), '') AS last_hash
        FROM accounts_auditevent AS event
    )
    SELECT id, last_id, hash <> digest, previous_hash <> last_hash FROM linked
    WHERE hash <> digest OR previous_hash <> last_hash OR id <> last_id + 1
    ORDER BY id
"""


def verify() -> tuple[int, list[Finding]]:
    """How many rows there are, and every place where the chain does not hold."""
    findings: list[Finding] = []
    with connection.cursor() as cursor:
        cursor.execute(_BROKEN)
        for row_id, last_id, is_altered, is_unlinked in cursor.fetchall():
            findings += _findings(row_id, last_id, is_altered=is_altered, is_unlinked=is_unlinked)
    return AuditEvent.objects.count(), findings + _at_the_end()


def _findings(row_id: int, last_id: int, *, is_altered: bool, is_unlinked: bool) -> list[Finding]:
    found = []
    if row_id > last_id + 1:
        found.append(Finding(last_id + 1, f"removed, with all before row {row_id}"))
    elif is_unlinked:
        found.append(Finding(row_id, "does not follow the row before it: one of them is not ours"))
    if is_altered:
        found.append(Finding(row_id, "altered after it was written, or put in by hand"))
    return found


def _at_the_end() -> list[Finding]:
    last = AuditEvent.objects.order_by("-id").first()
    head = AuditHead.objects.filter(pk=1).first()
    last_id, last_hash = (last.pk, last.hash) if last else (0, "")
    head_id, head_hash = (head.last_id, head.last_hash) if head else (0, "")
    if last_id < head_id:
        return [Finding(last_id + 1, f"removed, with all up to row {head_id}")]
    if last_id > head_id:
        return [Finding(head_id + 1, "put in by hand, with all after it")]
    if last_hash != head_hash:
        return [Finding(last_id, "is not the row that was written last")]
    return []


def _team_of(subject: models.Model | None) -> Team | None:
    return subject if isinstance(subject, Team) else getattr(subject, "team", None)
