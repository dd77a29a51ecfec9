"""A team with a machine, its people as clients of the API, and an empty history."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accounts.models import Role, Scope, Team, User
from connections.models import Connection
from tests import factories
from tests.api.client import Api
from tests.emptying import no_numbers


@dataclass(frozen=True)
class Lab:
    """One team and what the tests knock with; `tokens` by role."""

    team: Team
    machine: Connection
    people: dict[str, User]
    tokens: dict[str, str]

    def api(self, role: str = "operator") -> Api:
        return Api(self.tokens[role])


@pytest.fixture
def lab(transactional_db: None) -> Lab:
    """Rows are committed: an export reads them through a connection of its own."""
    team = factories.make_team()
    people = {role.value: factories.make_user(role.value) for role in Role}
    for role, person in people.items():
        factories.join(person, team, role)
    people["stranger"] = factories.make_user("stranger")
    tokens = {name: factories.make_token(person, Scope.ADMIN) for name, person in people.items()}
    return Lab(team, factories.make_connection(team, name="spark"), people, tokens)


@pytest.fixture(autouse=True)
def _empty_history(transactional_db: None) -> Iterator[None]:
    with no_numbers():
        yield


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, settings: object) -> Path:
    """The site's own folder, for this test alone."""
    settings.DATA_DIR = tmp_path / "site"  # type: ignore[attr-defined]
    return tmp_path / "site"
