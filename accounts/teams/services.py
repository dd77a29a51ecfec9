"""What administrators do with people and teams.

Teams and people are made by superusers, members are managed by the team's administrators. A team
that the caller is not in does not exist for them. Every change is audited first, in the same
transaction. A team keeps an administrator, and the site a superuser.
"""

from contextlib import AbstractContextManager
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, Q, QuerySet

from accounts import audit
from accounts.models import Membership, Role, Team, User
from accounts.policy import Caller, forbidden, may
from accounts.teams import given, quotas, superusers
from core.errors import Conflict, FieldError, Invalid, NotFound
from core.failures import conflict


def teams(caller: Caller) -> QuerySet[Team]:
    """The caller's teams; all of them for a superuser."""
    rows = Team.objects.order_by("name")
    return rows if caller.user.is_superuser else rows.filter(memberships__user=caller.user)


def find_team(caller: Caller, team_id: UUID, action: str) -> Team:
    team = teams(caller).filter(pk=team_id).first()
    if team is None:
        raise NotFound
    if not may(caller, action, team):
        raise forbidden(action)
    return team


def create_team(caller: Caller, name: str) -> Team:
    """A new team, with the caller as its first administrator."""
    _require(caller, "team.create")
    with _unique_team(), transaction.atomic():
        audit.take_turn()
        quotas.spend(caller, "team.create")
        team = Team(name=name)
        audit.record(caller, "team.create", team)
        team.save(force_insert=True)
        Membership.objects.create(team=team, user=caller.user, role=Role.ADMINISTRATOR)
        return team


def rename_team(caller: Caller, team_id: UUID, name: str) -> Team:
    team = find_team(caller, team_id, "team.change")
    before, team.name = team.name, name
    with _unique_team(), transaction.atomic():
        in_turn(team)
        audit.record(caller, "team.rename", team, before=before)
        team.save(update_fields=["name"])
        return team


def delete_team(caller: Caller, team_id: UUID, name: str) -> None:
    """Remove a team for good, with its members, invitations and channels; `name` has to be its own.

    `Conflict` while machines belong to it, also those in the trash: nothing of them is lost here.
    """
    team = find_team(caller, team_id, "team.delete")
    if name != team.name:
        raise Invalid.field("name", "That is not the name of this team.")
    try:
        with transaction.atomic():
            in_turn(team)
            audit.record(caller, "team.delete", team, members=team.memberships.count())
            team.delete()
    except ProtectedError as error:
        count = len(error.protected_objects)
        raise Conflict(
            f"The team still has {count} machine{'' if count == 1 else 's'}, counting those in the "
            "trash. Move them to another team, or wait until the trash is emptied."
        ) from error
    except IntegrityError as error:
        raise Conflict("Something was added to the team meanwhile; try again.") from error


def in_turn(team: Team) -> None:
    """Be the only one who changes a team until the transaction ends, or find that it is gone.

    All changes to a team and its people begin here, so they come one after the other: the turn of
    the audit first, then the team's row. `NotFound` if somebody has deleted it meanwhile. Whoever
    adds a machine meanwhile waits for the row, and then finds no team.
    """
    audit.take_turn()
    if Team.objects.select_for_update().filter(pk=team.pk).first() is None:
        raise NotFound("The team was deleted meanwhile.")


def leave_team(caller: Caller, team_id: UUID) -> Team:
    """Go; the last administrator cannot, and who is no member has nothing to leave."""
    team = find_team(caller, team_id, "team.leave")
    with transaction.atomic():
        in_turn(team)
        membership = _locked_member(team, caller.user.pk)
        _keep_an_administrator(team, membership)
        audit.record(caller, "member.leave", caller.user, team=team, role=membership.role)
        _take_away(caller, membership)
    return team


def members(team: Team) -> QuerySet[Membership]:
    return team.memberships.select_related("user").order_by("user__username")


def add_member(
    caller: Caller, team_id: UUID, username: str | None, email: str | None, role: str
) -> Membership:
    """Let an existing person join, found by user name or e-mail address."""
    team = find_team(caller, team_id, "member.change")
    user = _person(username, email)
    with (
        conflict("one_membership_per_team", "This person is already a member."),
        transaction.atomic(),
    ):
        in_turn(team)
        audit.record(caller, "member.add", user, team=team, role=role)
        return Membership.objects.create(team=team, user=user, role=role)


def change_member(caller: Caller, team_id: UUID, user_id: int, role: str) -> Membership:
    team = find_team(caller, team_id, "member.change")
    with transaction.atomic():
        in_turn(team)
        membership = _locked_member(team, user_id)
        if role != Role.ADMINISTRATOR:
            _keep_an_administrator(team, membership)
        audit.record(
            caller, "member.change", membership.user, team=team, before=membership.role, role=role
        )
        if role != Role.ADMINISTRATOR:
            given.withdraw_invitations(caller, membership.user, team)
        membership.role = role
        membership.save(update_fields=["role"])
    return membership


def remove_member(caller: Caller, team_id: UUID, user_id: int) -> None:
    team = find_team(caller, team_id, "member.change")
    with transaction.atomic():
        in_turn(team)
        membership = _locked_member(team, user_id)
        _keep_an_administrator(team, membership)
        audit.record(caller, "member.remove", membership.user, team=team, role=membership.role)
        _take_away(caller, membership)


def _take_away(caller: Caller, membership: Membership) -> None:
    given.withdraw_invitations(caller, membership.user, membership.team)
    membership.delete()


def users(caller: Caller) -> QuerySet[User]:
    """Everybody; for superusers."""
    if not caller.user.is_superuser:
        raise forbidden("user.view")
    return User.objects.order_by("username")


def create_user(caller: Caller, username: str, email: str, password: str | None) -> User:
    """A new person without rights; they get some by joining a team."""
    _require(caller, "user.create")
    user = new_user(username, email, password)
    with transaction.atomic():
        audit.take_turn()
        quotas.spend(caller, "user.create")
        audit.record(caller, "user.create", user, username=user.username)
        user.save(force_insert=True)
    return user


def new_user(username: str, email: str, password: str | None) -> User:
    """An unsaved person; `Invalid` for a bad name or password, `Conflict` for a taken one."""
    user = User(
        username=User.normalize_username(username), email=User.objects.normalize_email(email)
    )
    _check_free(user)
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise _invalid(error) from error
    if password is None:
        user.set_unusable_password()
    else:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise Invalid.field("password", " ".join(error.messages)) from error
        user.set_password(password)
    return user


def set_active(caller: Caller, user_id: int, *, active: bool) -> User:
    """Let a person in or keep them out.

    Out is at once: sessions end for good, as do invitations they gave; tokens rest meanwhile.
    """
    _require(caller, "user.change")
    with transaction.atomic():
        audit.take_turn()
        user = superusers.locked(user_id)
        if user is None:
            raise NotFound
        if not active:
            superusers.keep_one(user)
        audit.record(caller, "user.enable" if active else "user.disable", user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        if not active:
            given.withdraw_invitations(caller, user)
            given.end_sessions(user)
    return user


def _require(caller: Caller, action: str) -> None:
    if not may(caller, action):
        raise forbidden(action)


def _person(username: str | None, email: str | None) -> User:
    if (username is None) == (email is None):
        raise Invalid.field("username", "Give either a user name or an e-mail address.")
    wanted = Q(username=username) if username is not None else Q(email__iexact=email)
    found = list(User.objects.filter(wanted, is_active=True)[:2]) if username or email else []
    if len(found) != 1:
        field = "username" if username is not None else "email"
        raise Invalid.field(field, "There is no such person.")
    return found[0]


def _locked_member(team: Team, user_id: int) -> Membership:
    """One membership, with all administrators of the team locked: two cannot leave at once."""
    list(team.memberships.select_for_update().filter(role=Role.ADMINISTRATOR))
    row = team.memberships.select_related("user").filter(user_id=user_id).first()
    if row is None:
        raise NotFound
    return row


def _keep_an_administrator(team: Team, leaving: Membership) -> None:
    others = team.memberships.filter(role=Role.ADMINISTRATOR).exclude(pk=leaving.pk)
    if leaving.role == Role.ADMINISTRATOR and not others.exists():
        raise Conflict("The last administrator of a team stays.")


def _check_free(user: User) -> None:
    if User.objects.filter(username__iexact=user.username).exists():
        raise _taken("username", "There is already a person of this name.")
    if user.email and User.objects.filter(email__iexact=user.email).exists():
        raise _taken("email", "There is already a person with this address.")


def _unique_team() -> AbstractContextManager[None]:
    """Around a write: a second team of one name is a `Conflict`."""
    return conflict("accounts_team_name_key", "There is already a team of this name.", "name")


def _taken(field: str, message: str) -> Conflict:
    return Conflict(message, errors=(FieldError(field, message),))


def _invalid(error: ValidationError) -> Invalid:
    found = tuple(
        FieldError(field, " ".join(messages)) for field, messages in error.message_dict.items()
    )
    return Invalid(found[0].message, errors=found)
