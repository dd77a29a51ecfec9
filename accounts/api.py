"""People, teams, tokens and the audit trail over the REST API."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from ninja import Path, Query, Router
from ninja.responses import Status
from pydantic import Field

from accounts import schemas, serializers, tokens
from accounts.audit import query as audit_query
from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once
from accounts.models import Role, Team
from accounts.policy import role_in
from accounts.teams import invitations
from accounts.teams import services as teams_services
from core.pagination import Page, listing

router = Router(tags=["people"])

# User ids are PostgreSQL integers; a larger one belongs to nobody.
UserId = Annotated[int, Field(ge=1, le=2**31 - 1)]


@router.get("/tokens", response=schemas.TokenList)
def list_tokens(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The caller's own tokens, without their secrets."""
    return listing(tokens.own(caller_of(request)), page, serializers.token_dict)


@router.post("/tokens", response={201: schemas.NewTokenOut}, openapi_extra=REPEATABLE)
def create_token(request: HttpRequest, payload: schemas.TokenIn) -> Any:
    """A new token; the secret is in this answer and nowhere else."""
    caller = caller_of(request)

    def work() -> Status[Any]:
        token, secret = tokens.create(caller, payload.name, payload.scope, payload.days)
        return Status(201, serializers.token_dict(token) | {"token": secret})

    return once(request, work)


@router.delete("/tokens/{token_id}", response={204: None})
def revoke_token(request: HttpRequest, token_id: UUID) -> Status[None]:
    tokens.revoke(caller_of(request), token_id)
    return Status(204, None)


@router.get("/teams", response=schemas.TeamList)
def list_teams(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The caller's teams and the role in each."""
    caller = caller_of(request)
    roles = dict(caller.user.memberships.values_list("team_id", "role"))

    def as_dict(team: Team) -> dict[str, Any]:
        role = Role.ADMINISTRATOR if caller.user.is_superuser else roles.get(team.pk)
        return serializers.team_dict(team, role)

    return listing(teams_services.teams(caller), page, as_dict)


@router.post("/teams", response={201: schemas.TeamOut}, openapi_extra=REPEATABLE)
def create_team(request: HttpRequest, payload: schemas.TeamIn) -> Any:
    caller = caller_of(request)

    def work() -> Status[Any]:
        team = teams_services.create_team(caller, payload.name)
        return Status(201, serializers.team_dict(team, Role.ADMINISTRATOR))

    return once(request, work)


@router.patch("/teams/{team_id}", response=schemas.TeamOut)
def change_team(request: HttpRequest, team_id: UUID, payload: schemas.TeamIn) -> dict[str, Any]:
    """Give the team another name."""
    caller = caller_of(request)
    team = teams_services.rename_team(caller, team_id, payload.name)
    return serializers.team_dict(team, role_in(caller.user, team))


@router.get("/teams/{team_id}/invitations", response=schemas.InvitationList)
def list_invitations(request: HttpRequest, team_id: UUID, page: Query[Page]) -> dict[str, Any]:
    """The links that still work, without the links themselves."""
    team = teams_services.find_team(caller_of(request), team_id, "member.invite")
    return listing(invitations.open_ones(team), page, serializers.invitation_dict)


@router.post(
    "/teams/{team_id}/invitations",
    response={201: schemas.NewInvitationOut},
    openapi_extra=REPEATABLE,
)
def create_invitation(request: HttpRequest, team_id: UUID, payload: schemas.InvitationIn) -> Any:
    """A link that lets one person join; it is in this answer and nowhere else."""
    caller = caller_of(request)

    def work() -> Status[Any]:
        row, secret = invitations.create(caller, team_id, payload.role, payload.email)
        link = request.build_absolute_uri(reverse("join", args=[secret]))
        made = {"link": link, "sent": invitations.send(row, link)}
        return Status(201, serializers.invitation_dict(row) | made)

    return once(request, work)


@router.delete("/teams/{team_id}/invitations/{invitation_id}", response={204: None})
def revoke_invitation(request: HttpRequest, team_id: UUID, invitation_id: UUID) -> Status[None]:
    invitations.revoke(caller_of(request), team_id, invitation_id)
    return Status(204, None)


@router.get("/teams/{team_id}/members", response=schemas.MemberList)
def list_members(request: HttpRequest, team_id: UUID, page: Query[Page]) -> dict[str, Any]:
    team = teams_services.find_team(caller_of(request), team_id, "member.view")
    return listing(teams_services.members(team), page, serializers.member_dict)


@router.post(
    "/teams/{team_id}/members", response={201: schemas.MemberOut}, openapi_extra=REPEATABLE
)
def add_member(request: HttpRequest, team_id: UUID, payload: schemas.MemberIn) -> Any:
    caller = caller_of(request)

    def work() -> Status[Any]:
        member = teams_services.add_member(
            caller, team_id, payload.username, payload.email, payload.role
        )
        return Status(201, serializers.member_dict(member))

    return once(request, work)


@router.patch("/teams/{team_id}/members/{user_id}", response=schemas.MemberOut)
def change_member(
    request: HttpRequest, team_id: UUID, user_id: Path[UserId], payload: schemas.RoleIn
) -> dict[str, Any]:
    member = teams_services.change_member(caller_of(request), team_id, user_id, payload.role)
    return serializers.member_dict(member)


@router.delete("/teams/{team_id}/members/{user_id}", response={204: None})
def remove_member(request: HttpRequest, team_id: UUID, user_id: Path[UserId]) -> Status[None]:
    teams_services.remove_member(caller_of(request), team_id, user_id)
    return Status(204, None)


@router.get("/users", response=schemas.UserList)
def list_users(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    return listing(teams_services.users(caller_of(request)), page, serializers.user_dict)


@router.post("/users", response={201: schemas.UserOut}, openapi_extra=REPEATABLE)
def create_user(request: HttpRequest, payload: schemas.UserIn) -> Any:
    caller = caller_of(request)

    def work() -> Status[Any]:
        user = teams_services.create_user(caller, payload.username, payload.email, payload.password)
        return Status(201, serializers.user_dict(user))

    return once(request, work)


@router.patch("/users/{user_id}", response=schemas.UserOut)
def change_user(
    request: HttpRequest, user_id: Path[UserId], payload: schemas.UserPatch
) -> dict[str, Any]:
    """Let a person in or keep them out."""
    user = teams_services.set_active(caller_of(request), user_id, active=payload.is_active)
    return serializers.user_dict(user)


@router.get("/audit", response=schemas.AuditList)
def list_audit(
    request: HttpRequest, page: Query[Page], chosen: Query[schemas.AuditQuery]
) -> dict[str, Any]:
    """What was done, newest first; for administrators."""
    rows = audit_query.rows(caller_of(request), audit_query.Choice(**chosen.model_dump()))
    return listing(rows, page, serializers.audit_dict)
