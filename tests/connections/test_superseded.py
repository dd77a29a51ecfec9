"""An attempt that a newer one has superseded attaches nothing, whenever its log-in ends."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connections import ssh
from connections.keeper import keeper as keeping
from connections.keeper import machine_state
from connections.keeper.keeper import Keeper
from connections.keeper.link import Link
from connections.models import Connection
from jobs.keeper import agent
from simulator import light, recording
from tests.connections.conftest import state
from tests.factories import make_connection
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


class Logins:
    """How long each log-in takes, in the order in which they come: until somebody lets it pass."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def next(self) -> float:
        return self.seconds.pop(0) if self.seconds else 0.0


@pytest.fixture
def logins() -> Logins:
    return Logins()


@pytest.fixture
def fleet(tmp_path: Path, logins: Logins) -> Iterator[light.LightFleet]:
    silence = recording.arrange([(0.0, b"nothing")], b"0" * 32, 0.0, 1.0)
    with light.running(1, tmp_path / "fleet", silence, login_seconds=logins.next) as running:
        yield running


@pytest.fixture
def row(fleet: light.LightFleet) -> Connection:
    [entry] = fleet.entries
    row = make_connection(
        hostname=entry["hostname"],
        port=entry["port"],
        username=entry["username"],
        host_key=entry["host_key_fingerprint"],
        is_active=True,
    )
    row.set_secret("private_key", fleet.private_key_path.read_text())
    row.save()
    return row


def test_a_second_wish_ends_the_slow_log_in_and_only_the_new_one_attaches(
    fleet: light.LightFleet,
    logins: Logins,
    row: Connection,
    start_keeper: Callable[..., Keeper],
) -> None:
    attached: list[Link] = []
    keeping.on_connected.register(attached.append)
    logins.seconds = [30.0]
    keeper = start_keeper()
    until(lambda: fleet.journal.connections == 1 and not logins.seconds, "the first log-in")
    first = keeper._held[row.pk].opening
    assert first is not None
    until(lambda: first.has_lasted(machine_state.YOUNG_SECONDS), "it is not young any more")

    row.wish(active=True)
    keeper.wake()

    until(lambda: state(row) == ("connected", ""))
    assert first.closed.is_set()
    assert len(attached) == 1
    assert attached[0] is not first
    until(lambda: list(fleet.sessions.values()) == [1], "the old connection is gone")


def test_a_wish_that_comes_at_once_is_the_attempt_that_runs(
    fleet: light.LightFleet, row: Connection, start_keeper: Callable[..., Keeper], settings: Any
) -> None:
    settings.TIME_SCALE = 10.0
    keeper = start_keeper()
    until(lambda: row.pk in keeper._held and keeper._held[row.pk].opening, "an attempt")
    for _ in range(5):
        row.wish(active=True)
        keeper.wake()
    until(lambda: state(row) == ("connected", ""))
    assert fleet.journal.logins == 1


def test_a_link_that_was_closed_takes_no_session() -> None:
    class Session:
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    link, session = a_link(), Session()
    link.close()
    with pytest.raises(ssh.ConnectError):
        link.enter(session)  # type: ignore[arg-type]
    assert session.is_closed
    assert link.session is None


def test_hanging_up_ends_what_waits_for_a_machine(fleet: light.LightFleet, logins: Logins) -> None:
    """Also before the first byte: a socket that is being opened, and one that never answers."""
    [entry] = fleet.entries
    logins.seconds = [30.0]
    hang_up, ends = ssh.HangUp(), threading.Event()
    target = ssh.Target(
        hostname=entry["hostname"],
        port=entry["port"],
        username=entry["username"],
        credentials=ssh.Credentials(private_key=fleet.private_key_path.read_text()),
        address=entry["hostname"],
        host_key=entry["host_key_fingerprint"],
    )

    def log_in() -> None:
        with pytest.raises(ssh.ConnectError):
            ssh.open_session(target, timeout=30, hang_up=hang_up)
        ends.set()

    threading.Thread(target=log_in, daemon=True).start()
    until(lambda: not logins.seconds, "the log-in")
    hang_up.call()
    assert ends.wait(5)
    with pytest.raises(ssh.ConnectError):
        ssh.open_session(target, timeout=30, hang_up=hang_up)
    assert fleet.journal.connections == 1


def test_an_older_session_that_attaches_late_does_not_displace_the_newer(
    transactional_db: None,
) -> None:
    """What the jobs' agent keeps belongs to a session; the older one goes and takes its own."""
    job_agent, older = agent.JobAgent(), a_link()
    newer = a_link(older.connection_id)
    job_agent.attach(newer)
    job_agent.attach(older)
    older.close()
    job_agent.wake()
    until(lambda: list(job_agent._places) == [newer], "the older is forgotten")
    assert job_agent._thread is not None
    assert job_agent._thread.is_alive
    newer.close()
    job_agent.wake()
    until(lambda: job_agent._thread is None)


def a_link(connection_id: Any = None) -> Link:
    return Link(
        connection_id=connection_id or make_connection().pk,
        team_id=None,  # type: ignore[arg-type]
        name="spark",
        transport="ssh",
        epoch=1,
        drain=None,  # type: ignore[arg-type]
        on_ready=lambda link: None,
        on_lost=lambda link, reason, detail: None,
    )
