"""The topic of a job: its state first, then its steps and its log, for those who may see it."""

import pytest

from core import topics
from jobs import broadcast
from jobs.log import store as log_store
from jobs.models import Job, Status
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.jobs.rows import make_job, make_project
from tests.jobs.test_log_store import NOW
from tests.live.people import Client, in_database, with_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


class Stage:
    def __init__(self) -> None:
        team = make_team()
        viewer, stranger = make_user(), make_user()
        join(viewer, team)
        join(stranger, make_team())
        self.tokens = make_token(viewer), make_token(stranger)
        self.job = make_job(make_project(make_connection(team)))

    def say(self, text: bytes) -> None:
        offset = self.job.log_bytes
        log_store.append(self.job, text, NOW)
        broadcast.log(self.job, offset, text)

    def run(self) -> None:
        self.job.move(Status.STARTING, "test")
        broadcast.job(self.job)

    def delete(self) -> None:
        Job.objects.all().delete()


@pytest.fixture
def stage(transactional_db: None) -> Stage:
    return Stage()


async def test_a_job_begins_with_its_state_and_goes_on(stage: Stage) -> None:
    await in_database(stage.say, "grün\n".encode())
    topic = topics.job_topic(stage.job.pk)
    async with Client(with_token(stage.tokens[0])) as client:
        await client.subscribe(topic)
        state = await client.hear()
        assert (state["event"], state["seq"]) == ("state", 1)
        assert state["data"]["job"]["id"] == str(stage.job.pk)
        assert state["data"]["job"]["status"] == "queued"
        assert state["data"]["log"] == {"offset": 0, "next_offset": 6, "text": "grün\n"}
        await in_database(stage.run)
        event = await client.hear()
        assert (event["event"], event["data"]["job"]["status"]) == ("job", "starting")
        await in_database(stage.say, b"more\n")
        event = await client.hear()
        assert event["event"] == "log"
        assert event["data"] == {"offset": 6, "next_offset": 11, "text": "more\n"}


async def test_a_long_piece_comes_in_frames_that_join(stage: Stage) -> None:
    topic = topics.job_topic(stage.job.pk)
    text = "ä\x1b[1m line\n" * 9000
    async with Client(with_token(stage.tokens[0])) as client:
        await client.subscribe(topic)
        await client.hear()
        await in_database(stage.say, text.encode())
        shown, at = "", 0
        while at < len(text.encode()):
            data = (await client.hear())["data"]
            assert data["offset"] == at
            shown, at = shown + data["text"], data["next_offset"]
    assert shown == text


async def test_a_stranger_and_a_deleted_job(stage: Stage) -> None:
    topic = topics.job_topic(stage.job.pk)
    async with Client(with_token(stage.tokens[1])) as client:
        await client.subscribe(topic)
        assert (await client.hear())["event"] == "error"
    await in_database(stage.delete)
    async with Client(with_token(stage.tokens[0])) as client:
        await client.subscribe(topic)
        assert (await client.hear())["data"]["code"] == "not_found"
