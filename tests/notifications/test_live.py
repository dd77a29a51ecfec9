"""The `notifications` topic: the state first, then what is new, to this person alone."""

import pytest

from core import topics
from dgxsite.sockets import hub, revalidate
from notifications import feed
from notifications.events import notify, wake_workers
from notifications.models import Event
from tests.factories import join, make_team, make_token, make_user
from tests.live.people import Client, in_database, with_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


class Stage:
    """A team with two members, and somebody of another team."""

    def __init__(self):
        self.team = make_team()
        self.viewer, self.teammate, self.stranger = make_user(), make_user(), make_user()
        join(self.viewer, self.team)
        join(self.teammate, self.team)
        join(self.stranger, make_team())
        self.tokens = {
            user: make_token(user) for user in (self.viewer, self.teammate, self.stranger)
        }

    def tell(self, title, **fields):
        event = notify(self.team, "unreachable", title, **fields)
        wake_workers._sender.submit(int).result(10)  # its push has left
        return event

    def client(self, user):
        return Client(with_token(self.tokens[user]))


@pytest.fixture
def stage(transactional_db):
    return Stage()


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch):
    monkeypatch.setattr(revalidate, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(hub, "TEND_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def all_announced():
    """What a test has set in motion ends before its tables are emptied."""
    yield
    wake_workers._sender.submit(int).result(10)


async def subscribed(client):
    await client.subscribe("notifications")
    return await client.hear()


async def test_the_state_has_the_latest_and_the_count(stage):
    for number in range(25):
        await in_database(stage.tell, f"event {number}")
    async with stage.client(stage.viewer) as client:
        state = await subscribed(client)
        assert (state["event"], state["seq"]) == ("state", 1)
        assert state["data"]["unread"] == 25
        titles = [one["title"] for one in state["data"]["notifications"]]
        assert titles == [f"event {number}" for number in range(24, 4, -1)]


async def test_what_is_new_is_pushed_to_who_has_it(stage):
    async with stage.client(stage.viewer) as client, stage.client(stage.stranger) as other:
        await subscribed(client)
        assert (await subscribed(other))["data"] == {"notifications": [], "unread": 0}
        event = await in_database(stage.tell, "spark is out of reach", link="/machines/x/")
        message = await client.hear_until(lambda found: found["event"] == "notification")
        assert message["data"]["unread"] == 1
        assert message["data"]["notification"]["id"] == str(event.pk)
        assert message["data"]["notification"]["link"] == "/machines/x/"
        assert message["data"]["quiet"] is False
        assert await other.hears_nothing()


async def test_a_push_to_one_person_reaches_no_teammate(stage):
    async with stage.client(stage.viewer) as client, stage.client(stage.teammate) as other:
        await subscribed(client)
        await subscribed(other)
        item = topics.Item(topics.NOTIFICATIONS, "notification", b'{"unread":7}')
        topics.publish_to_person(stage.viewer.pk, [item])
        assert (await client.hear())["data"] == {"unread": 7}
        assert await other.hears_nothing()


async def test_reading_in_one_tab_is_seen_in_the_other(stage):
    await in_database(stage.tell, "spark is out of reach")
    async with stage.client(stage.viewer) as client, stage.client(stage.teammate) as other:
        assert (await subscribed(client))["data"]["unread"] == 1
        assert (await subscribed(other))["data"]["unread"] == 1
        await in_database(feed.mark_read, stage.viewer.pk)
        message = await client.hear_until(lambda found: found["data"]["unread"] == 0)
        assert message["event"] == "state"
        assert message["data"]["notifications"][0]["read_at"] is not None
        assert await other.hears_nothing()


async def test_leaving_the_team_empties_the_list(stage):
    await in_database(stage.tell, "spark is out of reach")
    async with stage.client(stage.viewer) as client:
        assert (await subscribed(client))["data"]["unread"] == 1
        await in_database(stage.viewer.memberships.all().delete)
        message = await client.hear_until(lambda found: found["data"]["unread"] == 0)
        assert message["data"]["notifications"] == []


async def test_the_longest_texts_fit_one_frame(stage):
    for number in range(feed.LATEST):
        title, body = f"{number}" + '"' * 300, "𝄞" * 2000
        await in_database(stage.tell, title, body=body, link="/" + "x" * 400)
    async with stage.client(stage.viewer) as client:
        state = await subscribed(client)
        assert len(state["data"]["notifications"]) >= 10
        assert await in_database(Event.objects.count) == feed.LATEST
