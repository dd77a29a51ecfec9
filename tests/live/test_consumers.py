"""The live socket, with the real channel layer and a real recorder."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session

from accounts.models import ApiToken, Membership
from connections.serializers import as_dict
from core import topics
from dgxsite.sockets import consumers, hub, revalidate
from metrics.history.buffer import Unsaved
from metrics.live.store import Recorder, latest
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.live.people import Client, eventually, in_database, log_in, with_session, with_token
from tests.metrics.machines import MOMENT, every_two_seconds, make_sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


class Stage:
    """A team with a machine; its owner, a teammate and a stranger."""

    def __init__(self):
        self.team = make_team()
        self.machine = make_connection(self.team)
        self.topic = f"connection:{self.machine.pk}"
        self.viewer = make_user()
        self.membership = join(self.viewer, self.team)
        self.stranger = make_user()
        join(self.stranger, make_team())
        self.token = make_token(self.viewer)
        self.recorder = Recorder(Unsaved())

    def record(self, at=MOMENT, *machines, **fields):
        held = {}
        for machine in machines or (self.machine,):
            self.recorder.add(machine.pk, machine.team_id, 1, make_sample(at, **fields))
            held[machine.pk] = 1
        self.recorder.flush(held)


@pytest.fixture
def stage(transactional_db):
    return Stage()


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch):
    # As often as it is asked in the product, who is shut out is closed within five seconds.
    assert revalidate.CHECK_SECONDS <= 2.5
    monkeypatch.setattr(revalidate, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(hub, "TEND_SECONDS", 0.2)


async def test_a_machine_begins_with_its_state_and_goes_on_with_samples(stage):
    for at in every_two_seconds(3):
        stage.record(at)
    async with Client(with_token(stage.token)) as client:
        await client.subscribe(stage.topic)
        state = await client.hear()
        assert (state["topic"], state["event"], state["seq"]) == (stage.topic, "state", 1)
        assert state["data"]["connection"] == orjson.loads(orjson.dumps(as_dict(stage.machine)))
        assert state["data"]["sample"] == latest(stage.machine.pk)
        assert state["data"]["recent"][0] == {
            "recorded_at": "2026-11-20T12:00:00.000Z",
            "gpus": [{"index": 0, "utilization_percent": 50.0}],
        }
        assert len(state["data"]["recent"]) == 3
        for number in (2, 3):
            stage.record(MOMENT + timedelta(seconds=10 * number))
            message = await client.hear()
            assert (message["event"], message["seq"]) == ("sample", number)
            assert message["data"] == latest(stage.machine.pk)


async def test_before_the_first_sample_the_state_says_null(stage):
    async with Client(with_session(await in_database(log_in, stage.viewer))) as client:
        await client.subscribe(stage.topic)
        data = (await client.hear())["data"]
        assert (data["sample"], data["recent"]) == (None, [])


async def test_the_fleet_comes_in_messages_that_fit_and_the_last_says_so(stage):
    machines = [await in_database(make_connection, stage.team) for _ in range(59)]
    stage.record(MOMENT, *machines, gpus=8)
    async with Client(with_token(stage.token)) as client:
        await client.subscribe("fleet")
        seen, numbers, is_complete = [], [], False
        while not is_complete:
            message = await client.hear()
            assert (message["topic"], message["event"]) == ("fleet", "state")
            numbers.append(message["seq"])
            seen += message["data"]["connections"]
            is_complete = message["data"]["complete"]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 2
        assert {entry["connection"]["id"] for entry in seen} == {
            str(machine.pk) for machine in [*machines, stage.machine]
        }
        assert sum(entry["sample"] is None for entry in seen) == 1
        stage.record(MOMENT + timedelta(seconds=2), *machines, gpus=8)
        arrived: list[dict[str, Any]] = []
        while len(arrived) < 59:
            message = await client.hear()
            assert message["event"] == "sample"
            arrived += message["data"]["samples"]
        assert {sample["seq"] for sample in arrived} == {2}


async def test_a_fleet_of_none_is_complete_at_once(stage):
    token = await in_database(make_token, stage.stranger)
    async with Client(with_token(token)) as client:
        await client.subscribe("fleet", "notifications")
        assert (await client.hear())["data"] == {"connections": [], "complete": True}
        notifications = await client.hear()
        assert (notifications["topic"], notifications["seq"]) == ("notifications", 1)


async def test_status_reaches_machine_and_fleet(stage):
    async with Client(with_token(stage.token)) as client:
        await client.subscribe(stage.topic, "fleet")
        for _ in range(2):
            await client.hear()
        topics.publish(stage.team.pk, [topics.status_item(as_dict(stage.machine))])
        heard = {(m["topic"], m["event"]) for m in [await client.hear(), await client.hear()]}
        assert heard == {(stage.topic, "status"), ("fleet", "status")}
        topics.publish(stage.team.pk, [topics.deleted_item(stage.machine.pk)])
        gone = {"connection": {"id": str(stage.machine.pk), "deleted": True}}
        assert (await client.hear())["data"] == gone


async def test_a_stranger_sees_nothing_of_it(stage):
    stage.record()
    token = await in_database(make_token, stage.stranger)
    async with Client(with_token(token)) as client:
        await client.subscribe(stage.topic, "fleet")
        heard = [await client.hear(), await client.hear()]
        errors = [message for message in heard if message["event"] == "error"]
        assert [(e["topic"], e["data"]["code"]) for e in errors] == [(stage.topic, "not_found")]
        stage.record(MOMENT + timedelta(seconds=2))
        topics.publish(stage.team.pk, [topics.status_item(as_dict(stage.machine))])
        assert await client.hears_nothing()


REFUSED = [
    "job:00000000-0000-4000-8000-000000000000",
    "connection:00000000-0000-4000-8000-000000000000",
    "connection:nonsense",
    "connection:",
    "connection:{00000000-0000-4000-8000-000000000000}",
    "group.name",
    "live.batch",
    "",
    'a"b\\c\u2028',
    "x" * 5000,
]


async def test_a_refused_topic_is_an_error_and_the_socket_stays(stage):
    async with Client(with_token(stage.token)) as client:
        for topic in REFUSED:
            await client.subscribe(topic)
            error = await client.hear()
            assert (error["topic"], error["event"]) == (topic[:100], "error")
            assert error["data"]["code"] == "not_found"
        await client.subscribe("notifications")
        assert (await client.hear())["event"] == "state"


async def test_after_unsubscribing_nothing_more_comes(stage):
    async with Client(with_token(stage.token)) as client:
        await client.subscribe(stage.topic)
        await client.hear()
        await client.say({"action": "unsubscribe", "topics": [stage.topic, "fleet"]})
        assert await client.hears_nothing(0.1)
        stage.record()
        assert await client.hears_nothing()
        await client.subscribe(stage.topic)
        assert (await client.hear())["seq"] == 2


BROKEN = [
    "",
    "hello",
    "null",
    "[]",
    "{}",
    '{"action":"subscribe"}',
    '{"action":"subscribe","topics":"fleet"}',
    '{"action":"subscribe","topics":[1]}',
    '{"action":"subscribe","topics":[["fleet"]]}',
    '{"action":"shout","topics":["fleet"]}',
    '{"action":["subscribe"],"topics":["fleet"]}',
    '{"type":"disconnect"}',
    '{"type":"websocket.disconnect","action":"subscribe","topics":[]}',
    '{"type":"live.batch","team":"x","stream":"x","number":1,"items":[]}',
    '{"action":"subscribe","topics":["fleet"],"group":"team.x"}',
    '{"action":"subscribe","topics":["\\ud800"]}',
    '{"action":"subscribe","topics":[NaN]}',
    "[" * 60_000,
    '{"action":"subscribe","topics":["fleet"]',
]


async def test_a_frame_that_is_not_understood_closes_with_4400(stage):
    for text in BROKEN:
        async with Client(with_token(stage.token)) as client:
            await client.say_raw(text)
            assert await client.closed_with() == 4400, text


async def test_binary_frames_are_not_understood(stage):
    async with Client(with_token(stage.token)) as client:
        await client.say_raw(data=b'{"action":"subscribe","topics":["fleet"]}')
        assert await client.closed_with() == 4400


async def test_a_frame_above_64_kib_closes_with_1009(stage):
    async with Client(with_token(stage.token)) as client:
        await client.say({"action": "subscribe", "topics": ["é" * 33_000]})
        assert await client.closed_with() == 1009


async def test_a_flood_of_frames_is_cut_off(stage):
    async with Client(with_token(stage.token)) as client:
        for _ in range(200):
            await client.subscribe("notifications")
        assert await client.closed_with() == 1008


async def test_a_socket_follows_a_thousand_topics_and_not_ten_thousand(stage):
    async with Client(with_token(stage.token)) as client:
        for _ in range(10):
            await client.subscribe(*(f"connection:{uuid4()}" for _ in range(1000)))
        assert await client.closed_with() == 4400


async def test_no_login_is_closed_with_4401(stage):
    for headers in (
        [(b"host", b"testserver")],
        with_token("dgx_" + "x" * 43),
        [(b"host", b"testserver"), (b"authorization", b"Basic eDp5")],
        with_session("nosuchsession"),
    ):
        async with Client(headers) as client:
            assert await client.closed_with() == 4401


async def test_a_bad_token_is_not_rescued_by_a_session(stage):
    key = await in_database(log_in, stage.viewer)
    headers = [*with_session(key), (b"authorization", b"Bearer dgx_" + b"x" * 43)]
    async with Client(headers) as client:
        assert await client.closed_with() == 4401


# --- Withdrawn -----------------------------------------------------------------------------------


def leave_team(stage):
    Membership.objects.filter(user=stage.viewer).delete()


def deactivate(stage):
    stage.viewer.is_active = False
    stage.viewer.save()


def change_password(stage):
    stage.viewer.set_password("another")
    stage.viewer.save()


def revoke_token(stage):
    ApiToken.objects.update(revoked_at=MOMENT)


def expire_token(stage):
    ApiToken.objects.update(expires_at=MOMENT - timedelta(days=1))


def end_session(stage):
    Session.objects.all().delete()


def delete_user(stage):
    stage.viewer.delete()


@pytest.mark.parametrize(
    ("means", "act"),
    [
        ("token", leave_team),
        ("token", deactivate),
        ("token", revoke_token),
        ("token", expire_token),
        ("token", delete_user),
        ("session", leave_team),
        ("session", deactivate),
        ("session", end_session),
        ("session", change_password),
        ("session", delete_user),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_who_is_shut_out_is_closed_with_4403(stage, means, act):
    headers = with_token(stage.token)
    if means == "session":
        headers = with_session(await in_database(log_in, stage.viewer))
    async with Client(headers) as client:
        await client.subscribe("fleet")
        await client.hear()
        await in_database(act, stage)
        assert await client.closed_with() == 4403
        stage.record()
        assert await client.hears_nothing(0.1)


async def test_a_new_membership_shows_at_once(stage):
    token = await in_database(make_token, stage.stranger)
    async with Client(with_token(token)) as client:
        await client.subscribe("fleet")
        assert (await client.hear())["data"]["connections"] == []
        await in_database(join, stage.stranger, stage.team)
        again = await client.hear_until(lambda message: message["data"]["connections"])
        assert again["event"] == "state"
        stage.record()
        assert (await client.hear())["event"] == "sample"


async def test_a_team_that_nobody_here_watches_may_be_left_quietly(stage):
    other = await in_database(make_team)
    membership = await in_database(join, stage.viewer, other)
    async with Client(with_token(stage.token)) as client:
        await client.subscribe(stage.topic)
        await client.hear()
        await in_database(membership.delete)
        assert await client.hears_nothing(0.5)
        stage.record()
        assert (await client.hear())["event"] == "sample"


# --- What was missed -----------------------------------------------------------------------------


async def test_a_gap_in_the_numbers_brings_a_fresh_state(stage):
    async with Client(with_token(stage.token)) as client:
        await client.subscribe(stage.topic)
        await client.hear()

        async def send(number):
            batch = {
                "type": "live.batch",
                "team": str(stage.team.pk),
                "stream": "other",
                "number": number,
                "items": [(stage.topic, "status", b'{"n":%d}' % number)],
            }
            await get_channel_layer().group_send(topics.team_group(stage.team.pk), batch)

        await send(7)
        await send(8)
        assert [(await client.hear())["event"] for _ in range(2)] == ["status", "status"]
        await send(10)
        message = await client.hear()
        assert (message["event"], message["seq"]) == ("state", 4)


async def test_this_machine_comes_every_second(stage):
    async with Client(with_token(stage.token), "/ws/metrics/") as client:
        first, second = await client.hear(), await client.hear()
        assert {"timestamp", "cpu", "memory", "gpu", "gpus", "battery"} <= first.keys()
        assert second["timestamp"] > first["timestamp"]
        await client.say({"action": "subscribe", "topics": ["fleet"]})
        assert await client.closed_with() == 4400


async def test_this_machine_is_not_for_strangers(stage):
    async with Client([(b"host", b"testserver")], "/ws/metrics/") as client:
        assert await client.closed_with() == 4401


async def test_no_person_takes_all_the_room(stage, monkeypatch):
    monkeypatch.setattr(consumers, "MAX_SOCKETS_PER_PERSON", 2)
    headers = with_token(stage.token)
    async with Client(headers) as first, Client(headers) as second:
        for client in (first, second):
            await client.subscribe("notifications")
            await client.hear()
        async with Client(headers) as third:
            assert await third.closed_with() == 1013
        token = await in_database(make_token, stage.stranger)
        async with Client(with_token(token)) as other:
            await other.subscribe("notifications")
            assert (await other.hear())["event"] == "state"


async def test_all_sockets_of_a_person_share_their_frames(stage, monkeypatch):
    monkeypatch.setattr(revalidate, "PERSON_PER_SECOND", 0.0)
    monkeypatch.setattr(revalidate, "PERSON_AT_ONCE", 6.0)
    headers = with_token(stage.token)
    async with Client(headers) as first, Client(headers) as second:
        for _ in range(2):  # two for the handshakes, four for these
            for client in (first, second):
                await client.subscribe("notifications")
                await client.hear()
        await first.subscribe("notifications")
        assert await first.closed_with() == 1008
        async with Client(headers) as third:
            assert await third.closed_with() == 1013
        token = await in_database(make_token, stage.stranger)
        async with Client(with_token(token)) as other:
            await other.subscribe("notifications")
            assert (await other.hear())["event"] == "state"


async def test_all_sockets_of_a_person_share_their_topics(stage, monkeypatch):
    monkeypatch.setattr(consumers, "MAX_TOPICS_PER_PERSON", 2)
    headers = with_token(stage.token)
    async with Client(headers) as first, Client(headers) as second:
        await first.subscribe("notifications")
        await second.subscribe("fleet")
        await first.hear_until(lambda message: message["topic"] == "notifications")
        await second.hear_until(lambda message: message["topic"] == "fleet")
        await second.subscribe(stage.topic)
        told = await second.hear_until(lambda message: message["event"] == "error")
        assert told["data"]["code"] == "too_many_topics"
        assert "All your sockets together" in told["data"]["detail"]
        await first.say({"action": "unsubscribe", "topics": ["notifications"]})
        await eventually(lambda: revalidate.watch().topics_of(stage.viewer.pk) == 1)
        await second.subscribe(stage.topic)
        assert await second.hear_until(lambda m: (m["topic"], m["event"]) == (stage.topic, "state"))
