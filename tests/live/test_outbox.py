"""What waits for a client, in what order, and how much of it."""

import asyncio

import orjson
import pytest

from dgxsite.sockets import outbox
from dgxsite.sockets.outbox import Outbox, StateUnreadable


class Desk:
    """An outbox whose client reads when told, and whose states count the reads."""

    def __init__(self):
        self.sent = []
        self.reads = 0
        self.unreadable = 0
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.topics = ["a", "b"]
        self.box = Outbox(self.load, self.send, lambda: self.topics)

    async def load(self, topic):
        self.reads += 1
        if self.unreadable:
            self.unreadable -= 1
            raise StateUnreadable
        yield orjson.dumps({"read": self.reads}).decode()

    async def send(self, text):
        await self.may_send.wait()
        self.sent.append(orjson.loads(text))

    def heard(self):
        return [(m["topic"], m["event"], m["seq"]) for m in self.sent]


@pytest.fixture
async def desk():
    made = Desk()
    task = asyncio.create_task(made.box.run())
    yield made
    task.cancel()


async def settle():
    for _ in range(50):
        await asyncio.sleep(0)


async def test_the_state_is_first_and_each_topic_counts_by_one(desk):
    desk.box.put_state("a")
    desk.box.put_state("b")
    await settle()
    for topic in ("a", "b", "a"):
        desk.box.put(topic, "sample", "1")
    await settle()
    assert desk.heard() == [
        ("a", "state", 1), ("b", "state", 1), ("a", "sample", 2), ("b", "sample", 2),
        ("a", "sample", 3),
    ]  # fmt: skip


async def test_events_older_than_the_state_are_not_sent_after_it(desk):
    desk.may_send.clear()
    desk.box.put("b", "sample", "0")
    await settle()  # hangs in sending
    desk.box.put("a", "sample", "1")
    desk.box.put_state("a")
    desk.box.put("a", "sample", "2")
    desk.may_send.set()
    await settle()
    assert desk.heard() == [("b", "sample", 1), ("a", "state", 1)]


async def test_a_client_that_does_not_read_costs_a_bounded_amount_and_is_resynced(desk):
    desk.box.put("a", "sample", "1")
    desk.may_send.clear()
    await settle()
    for _ in range(10_000):
        desk.box.put("a", "sample", '"' + "x" * 1000 + '"')
        assert desk.box._size <= outbox.MOST_WAITING
    desk.may_send.set()
    await settle()
    assert ("a", "state") in [(topic, event) for topic, event, _ in desk.heard()]
    assert ("b", "state") in [(topic, event) for topic, event, _ in desk.heard()]
    assert len(desk.sent) < 300
    numbers = [number for topic, _, number in desk.heard() if topic == "a"]
    assert numbers == list(range(1, len(numbers) + 1))
    desk.box.put("a", "sample", "2")
    await settle()
    assert desk.heard()[-1][1] == "sample"


async def test_a_state_that_cannot_be_read_is_asked_for_again(desk, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0)
    desk.unreadable = 3
    desk.box.put_state("a")
    await settle()
    assert desk.heard() == [("a", "state", 1)]
    assert desk.reads == 4


async def test_what_is_forgotten_is_not_sent(desk):
    desk.may_send.clear()
    desk.box.put("b", "sample", "1")
    await settle()
    desk.box.put("a", "sample", "1")
    desk.box.put_state("a")
    desk.box.forget("a")
    desk.may_send.set()
    await settle()
    assert desk.heard() == [("b", "sample", 1)]
