"""The pages of teams: who is in one and as what, who is invited, and which one is looked at.

A service that refuses ends in the 403 or 404 of `accounts.route_middleware`; what else it says
becomes a message above the page it was asked from.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pydantic import TypeAdapter, ValidationError

from accounts.auth.callers import caller_from_page
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.pages.forms import InvitationForm, MemberForm, NewAccountForm, RoleForm, TeamForm
from accounts.policy import Caller, may, role_in
from accounts.teams import current_team, invitations
from accounts.teams import services as teams_services
from core.errors import Forbidden, Invalid, NotFound, SiteError
from core.schemas import Name

_NAME: TypeAdapter[str] = TypeAdapter(Name)


@login_required
@require_http_methods(["GET", "POST"])
def teams(request: HttpRequest) -> HttpResponse:
    """The person's teams; a superuser sees all of them and makes new ones."""
    caller = caller_from_page(request)
    if request.method == "POST":
        made: list[Team] = []

        def work() -> None:
            made.append(teams_services.create_team(caller, _name(request)))

        _tell(request, work, "The team is made.")
        return redirect("team", made[0].pk) if made else redirect("teams")
    roles = dict(Membership.objects.filter(user=caller.user).values_list("team_id", "role"))
    lines = [(team, roles.get(team.pk)) for team in current_team.teams_of(caller.user)]
    context = {"lines": lines, "may_create": may(caller, "team.create"), "form": TeamForm()}
    return render(request, "accounts/teams.html", context)


@login_required
@require_GET
def team(request: HttpRequest, team_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    return _team_page(request, caller, teams_services.find_team(caller, team_id, "member.view"))


@login_required
@require_POST
def rename(request: HttpRequest, team_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    teams_services.find_team(caller, team_id, "team.change")
    _tell(
        request,
        lambda: teams_services.rename_team(caller, team_id, _name(request)),
        "The team has another name.",
    )
    return redirect("team", team_id)


@login_required
@require_POST
def delete(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """For good, so its name has to be typed."""
    caller = caller_from_page(request)
    name = request.POST.get("name", "").strip()
    is_gone = _tell(
        request, lambda: teams_services.delete_team(caller, team_id, name), "The team is deleted."
    )
    return redirect("teams") if is_gone else redirect("team", team_id)


@login_required
@require_POST
def leave(request: HttpRequest, team_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    has_left = _tell(request, lambda: teams_services.leave_team(caller, team_id), "You have left.")
    return redirect("teams") if has_left else redirect("team", team_id)


@login_required
@require_POST
def add_member(request: HttpRequest, team_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    teams_services.find_team(caller, team_id, "member.change")

    def work() -> None:
        data = _cleaned(MemberForm(request.POST))
        person = data["person"]
        name, email = (None, person) if "@" in person else (person, None)
        teams_services.add_member(caller, team_id, name, email, data["role"])

    _tell(request, work, "Added.")
    return redirect("team", team_id)


@login_required
@require_POST
def change_member(request: HttpRequest, team_id: UUID, user_id: int) -> HttpResponse:
    caller = caller_from_page(request)
    teams_services.find_team(caller, team_id, "member.change")

    def work() -> None:
        role = _cleaned(RoleForm(request.POST))["role"]
        teams_services.change_member(caller, team_id, user_id, role)

    _tell(request, work, "The role is changed.")
    return redirect("team", team_id)


@login_required
@require_POST
def remove_member(request: HttpRequest, team_id: UUID, user_id: int) -> HttpResponse:
    caller = caller_from_page(request)
    _tell(request, lambda: teams_services.remove_member(caller, team_id, user_id), "Removed.")
    return redirect("team", team_id)


@login_required
@require_POST
def invite(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """A new link; this answer is the only place where it stands."""
    caller = caller_from_page(request)
    found = teams_services.find_team(caller, team_id, "member.invite")
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _team_page(request, caller, found, form=form, status=422)
    data = form.cleaned_data
    row, secret = invitations.create(caller, team_id, data["role"], data["email"])
    link = request.build_absolute_uri(reverse("join", args=[secret]))
    made = {"row": row, "link": link, "was_sent": invitations.send(row, link)}
    return _team_page(request, caller, found, made=made)


@login_required
@require_POST
def revoke_invitation(request: HttpRequest, team_id: UUID, invitation_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    invitations.revoke(caller, team_id, invitation_id)
    messages.success(request, "The invitation is withdrawn.")
    return redirect("team", team_id)


@login_required
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Look at one team from now on, or at all of them."""
    text = request.POST.get("team", "")
    try:
        team_id = UUID(text) if text else None
    except ValueError as error:
        raise NotFound("There is no such team.") from error
    current_team.choose(request, team_id)
    return redirect("overview")


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """What an invitation's link opens: join with one's account, or make one."""
    row = invitations.find(secret)
    if row is None:
        return render(request, "accounts/invitation_gone.html", status=404)
    if isinstance(request.user, User):
        return _join_as(request, row, secret)
    form = NewAccountForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.accept_as_new(secret, address=_address(request), **form.cleaned_data)
        except SiteError as error:
            for found in error.errors:
                form.add_error(found.field if found.field in form.fields else None, found.message)
            if not error.errors:
                form.add_error(None, error.detail)
        else:
            login(request, user)
            invitations.ask_for_proof(request, user)
            return redirect("overview")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/invitation.html", {"row": row, "form": form}, status=status)


def _join_as(request: HttpRequest, row: Invitation, secret: str) -> HttpResponse:
    if request.method != "POST":
        return render(request, "accounts/invitation.html", {"row": row, "form": None})
    caller = caller_from_page(request)
    _tell(request, lambda: invitations.accept(caller, secret), f"You are now in {row.team}.")
    return redirect("team", row.team_id)


def _team_page(
    request: HttpRequest,
    caller: Caller,
    found: Team,
    *,
    form: InvitationForm | None = None,
    made: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    may_change = may(caller, "member.change", found)
    context = {
        "team": found,
        "role": role_in(caller.user, found),
        "is_member": found.memberships.filter(user=caller.user).exists(),
        "may_change": may_change,
        "may_delete": may(caller, "team.delete"),
        "members": list(teams_services.members(found)),
        "invitations": list(invitations.open_ones(found)) if may_change else [],
        "roles": Role.choices,
        "name_form": TeamForm(initial={"name": found.name}),
        "member_form": MemberForm(),
        "form": form or InvitationForm(),
        "made": made,
    }
    return render(request, "accounts/team.html", context, status=status)


def _tell(request: HttpRequest, work: Callable[[], Any], done: str) -> bool:
    """Do it and say so, or say why not; refusals go on to the door."""
    try:
        work()
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
        return False
    messages.success(request, done)
    return True


def _name(request: HttpRequest) -> str:
    try:
        return _NAME.validate_python(_cleaned(TeamForm(request.POST))["name"])
    except ValidationError as error:
        raise Invalid.field("name", "This is no name for a team.") from error


def _cleaned(form: Form) -> dict[str, Any]:
    if not form.is_valid():
        field, found = next(iter(form.errors.items()))
        raise Invalid.field(field, str(found[0]))
    return form.cleaned_data


def _address(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None
