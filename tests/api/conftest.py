"""Three people around one team: its administrator, a member, and somebody of another team."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.core.cache import cache

from accounts.models import Role, Scope, Team, User
from connections.models import Connection
from tests import factories
from tests.api.client import Api


@dataclass(frozen=True)
class World:
    """The team, its people, and a client for each of them."""

    team: Team
    owner: User
    machine: Connection
    admin: Api
    operator: Api
    viewer: Api
    stranger: Api
    superuser: Api
    nobody: Api

    def client(self, name: str) -> Api:
        client = getattr(self, name)
        assert isinstance(client, Api)
        return client


@pytest.fixture
def world(db: None) -> World:
    team = factories.make_team()
    clients = {}
    people = {}
    for name, role in (("admin", Role.ADMINISTRATOR), ("operator", Role.OPERATOR)):
        people[name] = factories.make_user()
        factories.join(people[name], team, role)
    people["viewer"] = factories.make_user()
    factories.join(people["viewer"], team, Role.VIEWER)
    people["stranger"] = factories.make_user()
    factories.join(people["stranger"], factories.make_team(), Role.ADMINISTRATOR)
    people["superuser"] = factories.make_user(is_superuser=True, is_staff=True)
    for name, user in people.items():
        clients[name] = Api(factories.make_token(user, Scope.ADMIN))
    machine = factories.make_connection(team)
    return World(team, people["admin"], machine, nobody=Api(None), **clients)


@pytest.fixture(autouse=True)
def _no_limits_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
