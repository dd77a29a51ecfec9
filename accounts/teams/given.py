"""What people gave to others or to later: it asks at use whether its giver still may.

docs/access.md has the table of all kinds. What is a right of somebody else by now (a membership) or
belongs to the team (a rule, a channel, a machine) is not given in this sense and stays.
"""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import audit
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.policy import ACTIONS, Caller, may, roles_from

INVITE = "member.invite"


def still_may(person: User | None, action: str, team: Team) -> bool:
    """Whether this person, with a login of their own, may do it today; nobody may nothing."""
    return person is not None and person.is_active and may(Caller(person), action, team)


def people_who_may(action: str, team: Team) -> set[int]:
    """Everybody who may, in one query: for loops over what many people have asked for."""
    least = ACTIONS[action]
    assert isinstance(least, Role), action
    member = Membership.objects.filter(user=OuterRef("pk"), team=team, role__in=roles_from(least))
    rows = User.objects.filter(Q(is_superuser=True) | Exists(member), is_active=True)
    return set(rows.values_list("pk", flat=True))


def may_no_more(person: User | None, what: str) -> str:
    """The sentence for who looks at what waits in vain."""
    if person is None:
        return f"Who asked for it has no account any more, and may no longer {what}."
    return f"{person.get_username()} may no longer {what}."


def standing_invitations() -> Q:
    """Of invitations: their giver still administers the team, and so does the token they used."""
    administers = Membership.objects.filter(
        team=OuterRef("team"), user=OuterRef("created_by"), role=Role.ADMINISTRATOR
    )
    person = Q(created_by__is_active=True) & (
        Q(created_by__is_superuser=True) | Exists(administers)
    )
    return person & Q(made_with__revoked_at=None)


def withdraw_invitations(caller: Caller | None, person: User, team: Team | None = None) -> int:
    """End the open invitations that somebody gave, in one team or everywhere; how many.

    Called where a right is taken, so that it does not come back to life with the right.
    """
    rows = Invitation.objects.filter(created_by=person, accepted_at=None, revoked_at=None)
    if team is not None:
        rows = rows.filter(team=team)
    found = list(rows.select_for_update(of=("self",)).select_related("team"))
    for row in found:
        audit.record(caller, "invitation.revoke", row, giver=person.get_username())
    rows.filter(pk__in=[row.pk for row in found]).update(revoked_at=timezone.now())
    return len(found)


def end_sessions(person: User) -> None:
    """Log somebody out everywhere, for good: no login comes back with the account.

    Nor does a link by mail that would have made one.
    """
    listed = UserSession.objects.filter(user=person)
    Session.objects.filter(session_key__in=listed.values("session_key")).delete()
    listed.delete()
    User.objects.filter(pk=person.pk).update(links_from=timezone.now())
