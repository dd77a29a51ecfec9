"""A machine that takes nothing any more stops no thread that others need."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paramiko
import pytest

from connections import ssh
from connections.drain import Drain
from tests.connections import stuck_server
from tests.connections.stuck_server import Stuck
from tests.waiting import until

# Readings of a good machine after another one is stuck; they come five times a second.
LOOKED_AT = 30
# A send that waits does so for five seconds.
LONGEST_GAP_SECONDS = 3.0


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the threads that have sent something in a way that may wait."""
    names: set[str] = set()

    def recorded(send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(*arguments: Any) -> Any:
            names.add(threading.current_thread().name)
            return send(*arguments)

        return sent

    for kind, name in (
        (paramiko.Transport, "_send_user_message"),
        (paramiko.packet.Packetizer, "send_message"),
    ):
        monkeypatch.setattr(kind, name, recorded(getattr(kind, name)))
    return names


@pytest.fixture
def drain() -> Iterator[Drain]:
    running = Drain(lambda: None)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def good() -> Iterator[Stuck]:
    with stuck_server.running("good") as server:
        yield server


@pytest.fixture
def half_rekeyed() -> Iterator[Stuck]:
    with stuck_server.running("rekey") as server:
        yield server


def test_a_key_exchange_that_never_ends_stops_nobody_else(
    drain: Drain, good: Stuck, half_rekeyed: Stuck, senders: set[str]
) -> None:
    came: list[float] = []
    read = bytearray()
    with ssh.open_session(good.target) as one, ssh.open_session(half_rekeyed.target) as other:
        one.open_stream(
            drain,
            "say",
            b".",
            on_data=lambda data: came.append(time.monotonic()),
            on_close=lambda status: None,
        )
        stuck = other.open_stream(
            drain, "say", b".", on_data=read.extend, on_close=lambda status: None
        )
        assert half_rekeyed.is_stuck.wait(30)
        assert stuck.send(b"."), "there is room for it"
        until(lambda: len(read) == len(stuck_server.BURST), "all of it is read")
        assert not stuck.send(b"."), "the last one has not left"
        first = len(came)
        until(lambda: len(came) >= first + LOOKED_AT, "the good one goes on")
        stuck.close()
    gaps = [after - before for before, after in itertools.pairwise(came)]
    assert max(gaps) < LONGEST_GAP_SECONDS
    assert "drain" not in senders
    assert senders, "they are noted"


def test_a_stream_that_cannot_be_read_ends_its_session_at_once(
    drain: Drain, good: Stuck, half_rekeyed: Stuck, senders: set[str]
) -> None:
    def fail(data: bytes) -> None:
        raise RuntimeError

    closed, heard = threading.Event(), threading.Event()
    with ssh.open_session(good.target) as one, ssh.open_session(half_rekeyed.target) as other:
        one.open_stream(
            drain, "say", b".", on_data=lambda data: heard.set(), on_close=lambda status: None
        )
        other.open_stream(drain, "say", b".", on_data=fail, on_close=lambda status: closed.set())
        assert closed.wait(30)
        assert not other.is_active
        heard.clear()
        assert heard.wait(30), "the good one goes on"
    assert "drain" not in senders


def test_a_command_in_it_ends_by_its_deadline(half_rekeyed: Stuck) -> None:
    with ssh.open_session(half_rekeyed.target) as session:
        with pytest.raises(ssh.CommandTimeout):
            session.run("say", timeout=2)
        assert half_rekeyed.is_stuck.is_set()
        with pytest.raises(ssh.SessionLost):
            session.run("say", timeout=1)


def test_room_is_given_again_and_again(drain: Drain, good: Stuck) -> None:
    """Also to a machine that waits for it, of which no packet comes meanwhile."""
    read = bytearray()
    size = 4 * ssh.STREAM_WINDOW_BYTES
    with ssh.open_session(good.target) as session:
        session.open_stream(
            drain, f"print {size}", b".", on_data=read.extend, on_close=lambda status: None
        )
        until(lambda: len(read) >= size, "all of it")
