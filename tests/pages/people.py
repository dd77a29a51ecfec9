"""The three people of every permission test, each with a logged-in client."""

from dataclasses import dataclass

from django.test import Client

from accounts.models import Role, Team, User
from tests import factories


@dataclass(frozen=True, slots=True)
class People:
    """Administrator and viewer of one team, and somebody from another team."""

    team: Team
    boss: Client
    guest: Client
    stranger: Client


def make_people() -> People:
    team = factories.make_team()
    return People(
        team,
        client_of(_member("boss", team, Role.ADMINISTRATOR)),
        client_of(_member("guest", team, Role.VIEWER)),
        client_of(_member("stranger", factories.make_team(), Role.ADMINISTRATOR)),
    )


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _member(name: str, team: Team, role: str) -> User:
    user = factories.make_user(name)
    factories.join(user, team, role)
    return user
