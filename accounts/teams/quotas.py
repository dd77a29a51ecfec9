"""How much a person makes in an hour or a day, counted where it is written anyway: in the audit.

The counting is exact, also for requests at the same time: call it after `audit.take_turn()`, in the
transaction that records the action. What bounds a stock (tokens that work) and not a rate is asked
where that stock is.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import AuditEvent, Team
from accounts.policy import Caller
from core.errors import TooMany


@dataclass(frozen=True, slots=True)
class Quota:
    most: int
    span: timedelta
    words: str


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

# By the action that the audit records. docs/security.md repeats the figures.
OF_PERSON: dict[str, Quota] = {
    "token.create": Quota(60, _HOUR, "tokens in an hour"),
    "invitation.create": Quota(60, _DAY, "invitations in a day"),
    "user.create": Quota(200, _HOUR, "people in an hour"),
    "team.create": Quota(60, _HOUR, "teams in an hour"),
}
OF_TEAM: dict[str, Quota] = {
    "invitation.create": Quota(120, _DAY, "invitations of one team in a day"),
}


def spend(caller: Caller, action: str) -> None:
    """`TooMany` (429) if the caller has done it as often as one may; counts all their logins."""
    _check(AuditEvent.objects.filter(actor=caller.user), action, OF_PERSON[action])


def spend_of_team(team: Team, action: str) -> None:
    """As `spend`, for all people of a team together."""
    _check(AuditEvent.objects.filter(team=team), action, OF_TEAM[action])


def _check(rows: QuerySet[AuditEvent], action: str, quota: Quota) -> None:
    now = timezone.now()
    lately = rows.filter(action=action, at__gt=now - quota.span).order_by("-at")
    # The one that has to grow old before there is room.
    nth = lately.values_list("at", flat=True)[quota.most - 1 : quota.most]
    for at in nth:
        left = int((at + quota.span - now).total_seconds()) + 1
        minutes = -(-left // 60)
        raise TooMany(
            f"At most {quota.most} {quota.words}; there is room again in {minutes} minutes.",
            retry_after=left,
        )
