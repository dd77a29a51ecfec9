"""A keeper makes the rows come true, against real OpenSSH servers and a real database."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.db import connection as database
from pytest_django import Settings

from connections.keeper import keeper as keeping
from connections.keeper import leases
from connections.keeper.keeper import Keeper
from connections.keeper.leases import LeaseLost
from connections.keeper.write_state import State, write_state
from connections.models import Connection, ConnectionEvent
from tests import sshd
from tests.connections.conftest import state
from tests.factories import make_connection
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]

StartKeeper = Callable[..., Keeper]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


def machine(server: sshd.Sshd, **fields: Any) -> Connection:
    """A wished machine at `server`, with the server's host key accepted."""
    values: dict[str, Any] = {
        "hostname": "127.0.0.1",
        "port": server.port,
        "username": server.user,
        "host_key": server.host_key_fingerprint,
        "is_active": True,
    }
    row = make_connection(**(values | fields))
    row.set_secret("private_key", server.client_key)
    row.save()
    return row


def statuses(row: Connection) -> list[str]:
    events = ConnectionEvent.objects.filter(connection=row).order_by("id")
    return [event.to_status for event in events]


def test_connects_what_is_wished(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    row = machine(server)
    keeper = start_keeper()
    until(lambda: state(row) == ("connected", ""))
    row.refresh_from_db()
    assert row.owner_id == keeper.id
    assert row.connected_at is not None
    assert row.host_key_type == "ssh-ed25519"
    until(lambda: keeper.holdings() == {row.pk: row.epoch})
    assert statuses(row) == ["connecting", "connected"]


def test_disconnects_when_the_wish_is_gone(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    row = machine(server)
    keeper = start_keeper()
    until(lambda: state(row) == ("connected", ""))
    row.wish(active=False)
    keeper.wake()
    until(lambda: state(row) == ("disconnected", ""))
    until(lambda: keeper.holdings() == {})
    assert Connection.objects.get(pk=row.pk).owner_id is None


def test_does_not_touch_what_nobody_wishes(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    idle, wished = machine(server, is_active=False), machine(server)
    start_keeper()
    until(lambda: state(wished) == ("connected", ""))
    assert statuses(idle) == []


def test_opens_a_new_session_when_the_row_changes(
    server: sshd.Sshd, start_keeper: StartKeeper
) -> None:
    row = machine(server)
    keeper = start_keeper()
    until(lambda: state(row) == ("connected", ""))
    row.session_changed()
    keeper.wake()
    until(lambda: statuses(row) == ["connecting", "connected"] * 2)


def test_stops_after_three_refused_logins(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    row = machine(server, username="nobody-here")
    keeper = start_keeper()
    until(lambda: state(row) == ("error", "auth_failed"))
    tries = server.log.count("Invalid user nobody-here")
    keeper.wake()
    assert tries == 3
    row.refresh_from_db()
    assert row.retry_at is None


def test_a_new_wish_tries_again(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    row = machine(server, host_key="")
    keeper = start_keeper()
    until(lambda: state(row) == ("error", "host_key_unknown"))
    row.refresh_from_db()
    assert row.offered_host_key == server.host_key_fingerprint
    Connection.objects.filter(pk=row.pk).update(host_key=row.offered_host_key)
    row.refresh_from_db()
    row.wish(active=True)
    keeper.wake()
    until(lambda: state(row) == ("connected", ""))


def test_waits_and_retries_when_nobody_answers(start_keeper: StartKeeper, tmp_path: Path) -> None:
    later = sshd.start(tmp_path)
    row = machine(later)
    later.stop()
    start_keeper()
    until(lambda: state(row) == ("connecting", "unreachable"))
    row.refresh_from_db()
    assert row.retry_at is not None
    again = sshd.start(tmp_path, port=later.port)
    try:
        until(lambda: state(row) == ("connected", ""))
    finally:
        again.stop()


def test_stops_at_a_changed_host_key_before_any_login(
    start_keeper: StartKeeper, tmp_path: Path
) -> None:
    server = sshd.start(tmp_path)
    try:
        row = machine(server, host_key="SHA256:" + "A" * 43)
        start_keeper()
        until(lambda: state(row) == ("error", "host_key_changed"))
        assert "userauth" not in server.log
    finally:
        server.stop()


def test_a_reset_link_comes_back_by_itself(start_keeper: StartKeeper, tmp_path: Path) -> None:
    server = sshd.start(tmp_path)
    row = machine(server)
    start_keeper()
    try:
        until(lambda: state(row) == ("connected", ""))
        for pid in sshd._descendants(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: statuses(row).count("connected") == 2)
    finally:
        server.stop()


def test_says_stale_and_then_lost_when_a_machine_goes_silent(
    server: sshd.Sshd, start_keeper: StartKeeper
) -> None:
    row = machine(server)
    start_keeper(alive=False)
    # Nothing is attached, so nothing says `progress` after the first time.
    until(lambda: state(row) == ("connected", "stale"))
    until(lambda: statuses(row)[-1] == "connecting" or state(row)[0] == "connecting")


def test_refuses_an_address_that_became_loopback(
    server: sshd.Sshd, start_keeper: StartKeeper, settings: Settings
) -> None:
    settings.ALLOW_LOOPBACK = False
    row = machine(server)
    start_keeper()
    until(lambda: state(row) == ("error", "refused_address"))


def test_two_keepers_share_and_the_survivor_takes_over(
    server: sshd.Sshd, start_keeper: StartKeeper
) -> None:
    rows = [machine(server) for _ in range(4)]
    first, second = start_keeper(), start_keeper()
    until(lambda: len(first.holdings()) == 2 and len(second.holdings()) == 2, seconds=15)
    kill(first)
    until(lambda: len(second.holdings()) == 4, seconds=15)
    until(lambda: all(state(row)[0] == "connected" for row in rows), seconds=15)


def test_a_stopped_keeper_gives_its_machines_back_at_once(
    server: sshd.Sshd, start_keeper: StartKeeper
) -> None:
    row = machine(server)
    keeper = start_keeper()
    until(lambda: state(row) == ("connected", ""))
    keeper.stop()
    assert Connection.objects.get(pk=row.pk).owner_id is None
    assert keeper.holdings() == {}


def test_a_keeper_that_slept_writes_nothing(server: sshd.Sshd, start_keeper: StartKeeper) -> None:
    row = machine(server)
    sleeper = start_keeper()
    until(lambda: state(row) == ("connected", ""))
    row.refresh_from_db()
    old_epoch = row.epoch
    kill(sleeper)
    until(lambda: sleeper.holdings() == {})
    start_keeper()
    until(lambda: Connection.objects.get(pk=row.pk).epoch > old_epoch)
    with pytest.raises(LeaseLost):
        write_state(sleeper.id, row.pk, old_epoch, State("disconnected"))


def test_only_one_of_many_claims_a_machine(server: sshd.Sshd) -> None:
    rows = [machine(server) for _ in range(3)]
    keepers = [Keeper() for _ in range(6)]
    for keeper in keepers:
        leases.renew(keeper.id, keeper.name, holds_local=False)
    taken: list[int] = []

    def claim(keeper: Keeper) -> None:
        taken.append(leases.claim(keeper.id, holds_local=False))
        database.close()

    threads = [threading.Thread(target=claim, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == len(rows)
    assert set(Connection.objects.values_list("epoch", flat=True)) == {1}


def kill(keeper: Keeper) -> None:
    """As a kill -9 would leave it: nothing is renewed, nothing is given back."""
    keeper._stopping.set()
    keeper._wake.set()
    keeper._threads[0].join(timeout=5)


@pytest.mark.parametrize("status", ["connecting", "connected", "error"])
def test_a_state_that_the_database_did_not_take_is_written_later(
    server: sshd.Sshd,
    start_keeper: StartKeeper,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
) -> None:
    failures: list[State] = []

    def fail_once(keeper_id: UUID, connection_id: UUID, epoch: int, written: State) -> None:
        if written.status == status and not failures:
            failures.append(written)
            raise OperationalError("the server closed the connection unexpectedly")
        write_state(keeper_id, connection_id, epoch, written)

    monkeypatch.setattr(keeping, "write_state", fail_once)
    is_trusted = status != "error"
    row = machine(server, host_key=server.host_key_fingerprint if is_trusted else "")
    start_keeper()
    expected = ("connected", "") if is_trusted else ("error", "host_key_unknown")
    until(lambda: state(row) == expected)
    assert len(failures) == 1
