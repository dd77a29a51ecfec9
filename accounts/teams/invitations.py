"""Links that let somebody join a team: for one person, for a week, with a role.

Whoever holds the link may use it once, with an account or by making one; only its hash is kept. An
invitation to an e-mail address is the same link, sent there. It works for as long as who gave it
may invite: each use asks (`accounts.teams.given`).
"""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.mail import send_soon
from accounts.models import Invitation, Membership, Team, User
from accounts.policy import Caller
from accounts.teams import given, quotas, services
from core.errors import Conflict, Invalid, NotFound
from core.mail import sends_mail

LIFETIME = timedelta(days=7)
# Of one team, at the same time.
MOST_OPEN = 200
_GONE = "This invitation was used, withdrawn or is too old, or who gave it may invite no more."


def open_ones(team: Team) -> QuerySet[Invitation]:
    """The invitations of a team that still work, newest first."""
    return _usable().filter(team=team).order_by("-created_at", "pk")


def create(caller: Caller, team_id: UUID, role: str, email: str = "") -> tuple[Invitation, str]:
    """A new invitation and its secret, which is never shown again; `Invalid` for an odd address."""
    team = services.find_team(caller, team_id, "member.invite")
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise Invalid.field("email", "This is no e-mail address.") from error
    secret = secrets.token_urlsafe(32)
    ends = timezone.now() + LIFETIME
    if caller.token is not None and caller.token.expires_at is not None:
        ends = min(ends, caller.token.expires_at)
    row = Invitation(
        team=team,
        role=role,
        email=email,
        digest=_digest(secret),
        created_by=caller.user,
        made_with=caller.token,
        expires_at=ends,
    )
    with transaction.atomic():
        services.in_turn(team)
        quotas.spend(caller, "invitation.create")
        quotas.spend_of_team(team, "invitation.create")
        if open_ones(team).count() >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} invitations of this team are open; withdraw some first.")
        audit.record(caller, "invitation.create", row, role=role, email=email)
        row.save(force_insert=True)
    return row, secret


def send(row: Invitation, link: str) -> bool:
    """Send the link to the invitation's address; False where the site sends no mail."""
    if not row.email or not sends_mail():
        return False
    inviter = row.created_by.get_username() if row.created_by else "An administrator"
    text = (
        f"{inviter} invites you to the team “{row.team}” as {row.role}.\n\n{link}\n\n"
        f"The link works once, until {row.expires_at:%Y-%m-%d %H:%M} UTC."
    )
    send_soon(EmailMessage(f"Invitation to {row.team}", text, to=[row.email]))
    return True


def revoke(caller: Caller, team_id: UUID, invitation_id: UUID) -> None:
    """The link works no more."""
    team = services.find_team(caller, team_id, "member.invite")
    with transaction.atomic():
        audit.take_turn()
        row = open_ones(team).select_for_update(of=("self",)).filter(pk=invitation_id).first()
        if row is None:
            raise NotFound
        audit.record(caller, "invitation.revoke", row)
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])


def find(secret: str) -> Invitation | None:
    """The invitation behind a link, if it still works."""
    return _usable().select_related("team").filter(digest=_digest(secret)).first()


def accept(caller: Caller, secret: str) -> Membership:
    """Join with the caller's account; `Conflict` for a member, `NotFound` for a used link."""
    with transaction.atomic():
        audit.take_turn()
        row = _locked(secret)
        if row.team.memberships.filter(user=caller.user).exists():
            raise Conflict("You are a member of this team already.")
        return _join(caller, row)


def accept_as_new(secret: str, username: str, password: str, address: str | None) -> User:
    """Make an account and join with it; what is wrong leaves the link as it was.

    The invitation's address waits with the account until the person verifies it.
    """
    with transaction.atomic():
        audit.take_turn()
        row = _locked(secret)
        user = services.new_user(username, "", password)
        user.save(force_insert=True)
        if row.email:
            # Nobody has shown yet that it is theirs: the inviter had the link as well.
            EmailAddress.objects.create(user=user, email=row.email.lower(), verified=False)
        caller = Caller(user, address=address)
        audit.record(caller, "user.create", user, username=user.username, by="invitation")
        _join(caller, row)
    return user


def ask_for_proof(request: HttpRequest, user: User) -> None:
    """Send a link to the address that waits with a new account, where the site sends mail."""
    address = EmailAddress.objects.filter(user=user, verified=False).first()
    if address is not None and sends_mail():
        address.send_confirmation(request)


def _join(caller: Caller, row: Invitation) -> Membership:
    audit.record(caller, "invitation.accept", row, role=row.role, member=caller.user.get_username())
    row.accepted_by, row.accepted_at = caller.user, timezone.now()
    row.save(update_fields=["accepted_by", "accepted_at"])
    return Membership.objects.create(team=row.team, user=caller.user, role=row.role)


def _locked(secret: str) -> Invitation:
    row = (
        _usable()
        .select_related("team")
        .select_for_update(of=("self",))
        .filter(digest=_digest(secret))
        .first()
    )
    if row is None:
        raise NotFound(_GONE)
    return row


def _usable() -> QuerySet[Invitation]:
    return Invitation.objects.filter(
        given.standing_invitations(),
        accepted_at=None,
        revoked_at=None,
        expires_at__gt=timezone.now(),
    )


def _digest(secret: str) -> str:
    """The secret has 256 random bits, so one unsalted hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
