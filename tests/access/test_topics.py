"""Every kind of topic × actor answers as the file in Git and as the policy says."""

from dataclasses import dataclass

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts.models import Role, Scope, User
from accounts.policy import ACTIONS, TOPICS, Right, action_of_topic
from connections.models import Connection
from tests import factories
from tests.access.cast import ACTORS
from tests.access.matrix import Matrix, compare
from tests.jobs.rows import make_job, make_project
from tests.live.people import Client, log_in, with_session, with_token

pytestmark = pytest.mark.django_db(transaction=True)

# Kinds that nobody declares are refused as well as objects that are not there.
UNDECLARED = ("tunnel:{machine}", "connections", "admin", "")
_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMINISTRATOR: 3}


@dataclass(frozen=True)
class Doors:
    """The headers of each actor, by token and by session, and a topic of each kind."""

    headers: dict[str, list[list[tuple[bytes, bytes]]]]
    topics: dict[str, str]


def make_doors() -> Doors:
    team = factories.make_team()
    users = {name: factories.make_user(name) for name in ("viewer", "operator", "administrator")}
    for name, user in users.items():
        factories.join(user, team, name)
    users["stranger"] = factories.make_user("stranger")
    factories.join(users["stranger"], factories.make_team(), Role.ADMINISTRATOR)
    users["superuser"] = factories.make_user("superuser", is_superuser=True)
    machine = factories.make_connection(team).pk
    job = make_job(make_project(Connection.objects.get(pk=machine))).pk
    named = {"connection": f"connection:{machine}", "job": f"job:{job}"}
    topics = {kind: named.get(kind, kind) for kind in TOPICS}
    topics |= {name: name.format(machine=machine) for name in UNDECLARED}
    return Doors({name: _ways(user) for name, user in users.items()}, topics)


def _ways(user: User) -> list[list[tuple[bytes, bytes]]]:
    return [with_token(factories.make_token(user, Scope.READ)), with_session(log_in(user))]


@pytest.mark.timeout(180)
async def test_every_topic_is_as_agreed_and_as_the_policy_says() -> None:
    doors = await sync_to_async(make_doors)()
    try:
        seen: Matrix = {}
        for kind, topic in doors.topics.items():
            cells = {actor: await _answer(doors, actor, topic) for actor in ACTORS}
            seen[f"/ws/live/ {kind.split(':')[0] or '(empty)'}", "subscribe"] = cells
            assert cells == {actor: _expected(topic, actor) for actor in ACTORS}, topic
        for path in ("/ws/metrics/",):
            cells = {actor: await _opened(doors, actor, path) for actor in ACTORS}
            seen[path, "open"] = cells
        different = compare("topics.csv", seen)
        assert not different, "\n".join(different)
    finally:
        await sync_to_async(connections.close_all)()


async def _answer(doors: Doors, actor: str, topic: str) -> str:
    """The same by token and by session, or both."""
    answers = set()
    for headers in doors.headers.get(actor, [[(b"host", b"testserver")]]):
        async with Client(headers) as client:
            if actor == "anonymous":
                answers.add("login" if await client.closed_with() == 4401 else "allowed")
                continue
            await client.subscribe(topic)
            event = (await client.hear())["event"]
            answers.add("absent" if event == "error" else "allowed")
    return " or ".join(sorted(answers))


async def _opened(doors: Doors, actor: str, path: str) -> str:
    headers = doors.headers.get(actor, [[(b"host", b"testserver")]])[0]
    async with Client(headers, path) as client:
        if actor == "anonymous":
            return "login" if await client.closed_with() == 4401 else "allowed"
        return "allowed" if (await client.hear())["timestamp"] else "absent"


def _expected(topic: str, actor: str) -> str:
    needed = ACTIONS.get(action_of_topic(topic) or "")
    if actor == "anonymous":
        return "login"
    if needed is Right.PERSON:
        return "allowed"
    if not isinstance(needed, Role) or actor == "stranger":
        return "absent"
    ranks = {"viewer": 1, "operator": 2, "administrator": 3, "superuser": 3}
    return "allowed" if ranks[actor] >= _RANK[needed] else "absent"
