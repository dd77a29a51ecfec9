"""The team that a person in several teams looks at; none means all of them.

It is kept in the session and narrows what pages list. It gives no right: what one may see is asked
of the policy as before.
"""

from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest

from accounts.models import Team, User
from core.errors import NotFound

_KEY = "team"


def teams_of(user: object) -> list[Team]:
    """The teams to choose from, by name; every team for a superuser, none for a stranger."""
    if not isinstance(user, User):
        return []
    rows = Team.objects.order_by("name")
    return list(rows if user.is_superuser else rows.filter(memberships__user=user))


def choose(request: HttpRequest, team_id: UUID | None) -> Team | None:
    """Look at one team, or at all with None. `NotFound` for a team the person may not see."""
    if team_id is None:
        request.session.pop(_KEY, None)
        return None
    team = next((team for team in teams_of(request.user) if team.pk == team_id), None)
    if team is None:
        raise NotFound("There is no such team.")
    request.session[_KEY] = str(team.pk)
    return team


def chosen(request: HttpRequest) -> Team | None:
    """The team that was chosen, if the person may still see it."""
    kept = request.session.get(_KEY)
    if kept is None:
        return None
    return next((team for team in teams_of(request.user) if str(team.pk) == kept), None)


def narrowed(request: HttpRequest) -> Q:
    """The filter for rows that have a `team`."""
    team = chosen(request)
    return Q(team=team) if team is not None else Q()
