"""Rows for tests: plain functions with defaults; a test sets only what it is about."""

import itertools
from typing import Any

from accounts.models import ApiToken, Membership, Role, Scope, Team, User
from connections.models import Connection, ServerKey
from projects.models import Project

_numbers = itertools.count(1)


def make_user(username: str = "", **fields: Any) -> User:
    """An active person with the password `password`."""
    name = username or f"person-{next(_numbers)}"
    return User.objects.create_user(name, password="password", **fields)


def make_team(name: str = "") -> Team:
    return Team.objects.create(name=name or f"team-{next(_numbers)}")


def join(user: User, team: Team, role: str = Role.VIEWER) -> Membership:
    return Membership.objects.create(user=user, team=team, role=role)


def make_token(user: User, scope: str = Scope.ADMIN, **fields: Any) -> str:
    """The secret of a new token."""
    return ApiToken.issue(user, fields.pop("name", "test"), scope, **fields)[1]


def make_connection(team: Team | None = None, **fields: Any) -> Connection:
    """A machine nobody wishes to connect to, at an address for documentation."""
    values: dict[str, Any] = {
        "name": f"machine-{next(_numbers)}",
        "hostname": "192.0.2.1",
        "username": "ml",
    }
    return Connection.objects.create(team=team or make_team(), **(values | fields))


def open_server_key(team: Team, path: str = "") -> ServerKey:
    """A key file of the server, or its SSH agent, with which the team's machines may log in."""
    return ServerKey.objects.create(team=team, path=path)


def make_project(connection: Connection | None = None, **fields: Any) -> Project:
    """A project whose folder the machine has not been asked for."""
    values: dict[str, Any] = {"name": f"project-{next(_numbers)}", "remote_path": "~/project"}
    return Project.objects.create(connection=connection or make_connection(), **(values | fields))
