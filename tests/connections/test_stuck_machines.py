"""A machine that takes nothing any more stops no thread that others need."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import paramiko
import pytest
from pytest_django import Settings

from connections import ssh
from connections.keeper import keeper as keeping
from connections.keeper.keeper import Keeper
from connections.keeper.link import TAKES_NOTHING, Link
from connections.models import Connection
from connections.ssh.reader import StreamReader
from core.background import threads
from tests.connections import stuck_server
from tests.connections.conftest import state
from tests.connections.stuck_server import Stuck
from tests.factories import make_connection
from tests.waiting import until

# Readings of a good machine after another one is stuck; they come five times a second.
LOOKED_AT = 30
# A send that waits does so for five seconds.
LONGEST_GAP_SECONDS = 3.0
STDIN = b"." * 50


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
def drain() -> Iterator[StreamReader]:
    running = StreamReader(lambda: None)
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


@pytest.fixture
def servers() -> Iterator[contextlib.ExitStack]:
    """They end after the keeper, which has nothing to write about them at the end then."""
    with contextlib.ExitStack() as stack:
        yield stack


def test_a_key_exchange_that_never_ends_stops_nobody_else(
    drain: StreamReader, good: Stuck, half_rekeyed: Stuck, senders: set[str]
) -> None:
    came: list[float] = []
    read = bytearray()
    with (
        ssh.open_session(good.target) as one,
        ssh.open_session(half_rekeyed.target) as other,
    ):
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
        until(lambda: len(read) == len(stuck_server.BURST), "all of it is read")
        until(lambda: not stuck.send(b"."), "one has not left, once our side exchanges keys too")
        first = len(came)
        until(lambda: len(came) >= first + LOOKED_AT, "the good one goes on")
        stuck.close()
    gaps = [after - before for before, after in itertools.pairwise(came)]
    assert max(gaps) < LONGEST_GAP_SECONDS
    assert "drain" not in senders
    assert senders, "they are noted"


def test_a_stream_that_cannot_be_read_ends_its_session_at_once(
    drain: StreamReader, good: Stuck, half_rekeyed: Stuck, senders: set[str]
) -> None:
    def fail(data: bytes) -> None:
        raise RuntimeError

    closed, heard = threading.Event(), threading.Event()
    with (
        ssh.open_session(good.target) as one,
        ssh.open_session(half_rekeyed.target) as other,
    ):
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


def test_room_is_given_again_and_again(drain: StreamReader, good: Stuck) -> None:
    """Also to a machine that waits for it, of which no packet comes meanwhile."""
    read = bytearray()
    size = 4 * ssh.STREAM_WINDOW_BYTES
    with ssh.open_session(good.target) as session:
        session.open_stream(
            drain, f"print {size}", b".", on_data=read.extend, on_close=lambda status: None
        )
        until(lambda: len(read) >= size, "all of it")


@pytest.mark.django_db(transaction=True)
def test_machines_that_take_no_heartbeat_keep_it_from_nobody(
    servers: contextlib.ExitStack,
    start_keeper: Callable[..., Keeper],
    senders: set[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.SAMPLE_SECONDS, settings.KEEPER_TTL_SECONDS = 1.0, 20.0
    # Each bad one is tried once: what is looked at is the first session.
    settings.RECONNECT_SECONDS = (300.0, 300.0)
    monkeypatch.setattr(keeping, "PULSE_SECONDS", 1.0)
    came: dict[str, list[float]] = {}
    keeping.on_connected.register(partial(collect, came))
    good, bad = (
        [servers.enter_context(stuck_server.running(*kind)) for kind in kinds]
        for kinds in ([("good",)] * 2, [("stingy", len(STDIN))] * 5 + [("rekey",)])
    )
    rows = {server.port: row_of(server) for server in [*good, *bad]}
    keeper = start_keeper(alive=False)
    for server in bad[:-1]:
        until(partial(says_why, rows[server.port]), "its row says why")
    pulses = [len(server.received) for server in good]
    until(
        lambda: all(
            len(server.received) >= before + 5 for server, before in zip(good, pulses, strict=True)
        ),
        "the good ones get every heartbeat",
    )
    until(lambda: rows[bad[-1].port].pk in keeper._held, "the half-done one is looked after")
    for server in good:
        assert state(rows[server.port]) == ("connected", "")
        gaps = [b - a for a, b in itertools.pairwise(came[str(rows[server.port].pk)])]
        assert max(gaps) < LONGEST_GAP_SECONDS
    assert not senders & {"drain", "pulse"}


@pytest.mark.django_db(transaction=True)
def test_a_pulse_that_hangs_is_said(
    good: Stuck, start_keeper: Callable[..., Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(keeping, "PULSE_SECONDS", 0.1)
    monkeypatch.setattr(keeping, "PULSE_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(Link, "pulse", lambda link: goes_on.wait(60))
    row_of(good)
    start_keeper()
    until(lambda: "the pulse of the machines" in threads.look(), "it is said")
    goes_on.set()
    until(lambda: "the pulse of the machines" not in threads.look(), "it goes on")


def collect(came: dict[str, list[float]], link: Link) -> None:
    """As the collector does: a stream with a pulse, whose bytes are signs of life."""
    times = came.setdefault(str(link.connection_id), [])

    def on_data(data: bytes) -> None:
        times.append(time.monotonic())
        link.progress()

    link.open_stream(
        "say",
        STDIN,
        on_data=on_data,
        on_close=lambda status: link.fail("unreachable", "The stream ended."),
        pulse=b".",
    )


def row_of(server: Stuck) -> Connection:
    row = make_connection(
        hostname="127.0.0.1",
        port=server.port,
        auth_method="password",
        host_key=server.fingerprint,
        is_active=True,
    )
    row.set_secret("password", "any")
    row.save()
    return row


def says_why(row: Connection) -> bool:
    row.refresh_from_db()
    return row.detail == TAKES_NOTHING
