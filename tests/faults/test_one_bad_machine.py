"""One bad machine stops no other in a keeper: its row says so, the log names it, health stays."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.keeper import keeper as keeping
from connections.keeper.keeper import Keeper
from connections.keeper.link import Link
from core.background import isolation
from exports import queue, writer
from exports.models import Export
from metrics.live import ingest as live_ingest
from notifications.channels.outcome import Outcome
from notifications.delivery import dispatch
from notifications.events import notify
from notifications.models import Delivery, DeliveryStatus
from tests import factories, sshd
from tests.connections.conftest import quick, start_keeper, state
from tests.connections.test_keeper import machine
from tests.faults.loops import three_exports
from tests.faults.poison import cure, poison
from tests.metrics.machines import make_sample
from tests.notifications.conftest import make_channel
from tests.waiting import until

__all__ = ["quick", "start_keeper"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _rested() -> Iterator[None]:
    isolation.forget()
    yield
    isolation.forget()


@pytest.fixture
def poisoned() -> Iterator[Callable[..., None]]:
    """Poisons rows until the end of the test."""
    tables: list[str] = []

    def spoil(table: str, value: object, column: str = "id") -> None:
        tables.append(table)
        poison(table, value, column)

    yield spoil
    for table in tables:
        cure(table)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


def test_a_machine_whose_states_cannot_be_written_holds_up_no_other(
    server: sshd.Sshd,
    quick: None,
    start_keeper: Callable[..., Keeper],
    poisoned: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = sorted((machine(server) for _ in range(4)), key=lambda row: row.pk)
    bad, *good = rows
    poisoned("connections_connectionevent", bad.pk, "connection_id")
    keeper = start_keeper()
    until(lambda: all(state(row) == ("connected", "") for row in good))
    good[0].wish(active=False)
    keeper.wake()
    until(lambda: state(good[0]) == ("disconnected", ""))
    until(lambda: str(bad.pk) in caplog.text)
    assert "the database does not answer" not in caplog.text
    bad.refresh_from_db()
    assert bad.detail == "The site failed to look after this machine (DataError)."


def test_words_that_cannot_be_stored_do_not_keep_the_state_from_its_row(
    server: sshd.Sshd,
    quick: None,
    start_keeper: Callable[..., Keeper],
    poisoned: Callable[..., None],
) -> None:
    row = machine(server, host_key="")
    poisoned("connections_connection", "Nobody has accepted this host key yet.", "detail")
    start_keeper()
    until(lambda: state(row) == ("error", "host_key_unknown"))
    row.refresh_from_db()
    assert row.detail == keeping._UNSTORABLE


def test_a_refusal_full_of_nonsense_is_written_clean(
    server: sshd.Sshd, quick: None, start_keeper: Callable[..., Keeper]
) -> None:
    """What an attachment says of one machine; the others connect, and it can be let go again."""

    def fail_on_first(link: Link) -> None:
        if link.connection_id == bad.pk:
            link.fail("unusable_shell", "no\0 \ud800\x1b[2J" + "x" * 2**20)

    bad, good = machine(server), machine(server)
    keeping.on_connected.register(fail_on_first)
    keeper = start_keeper()
    until(lambda: state(good) == ("connected", ""))
    until(lambda: state(bad) == ("error", "unusable_shell"))
    bad.refresh_from_db()
    assert bad.detail.isprintable()
    assert bad.detail.startswith("no    [2Jxxx")
    bad.wish(active=False)
    keeper.wake()
    until(lambda: state(bad) == ("disconnected", ""))


def test_one_callback_that_fails_keeps_no_other_from_its_turn(
    monkeypatch: pytest.MonkeyPatch, quick: None, start_keeper: Callable[..., Keeper]
) -> None:
    turns: list[str] = []

    def fails() -> None:
        raise ZeroDivisionError

    with keeping.on_round.only(fails, lambda: turns.append("round")):
        start_keeper()
        until(lambda: turns)


def test_one_listener_that_fails_ends_no_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.connections.test_superseded import a_link

    heard: list[Link] = []

    def fails(link: Link, sample: object) -> None:
        raise ZeroDivisionError

    link = a_link()
    with live_ingest.on_sample.only(fails, lambda link, _: heard.append(link)):
        live_ingest._record(link, make_sample())
    assert heard == [link]
    assert str(link.connection_id) in caplog.text


def test_an_export_that_cannot_be_made_says_so_and_the_next_is_made(
    poisoned: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = three_exports()
    really = writer.make

    def make(export: Export) -> None:
        if export.pk == rows[1].pk:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        really(export)

    monkeypatch.setattr(writer, "make", make)
    queue.run()
    states = [Export.objects.get(pk=row.pk).state for row in rows]
    assert states == ["done", "failed", "done"]
    assert Export.objects.get(pk=rows[1].pk).local_error == queue.BROKEN


def test_a_delivery_that_cannot_be_written_down_holds_up_no_other(
    poisoned: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    channels = [make_channel(factories.make_team(), "http://10.255.255.1:9/") for _ in range(3)]
    for channel in channels:
        notify(channel.team, "unreachable", "spark is out of reach")
    rows = [Delivery.objects.get(channel=channel) for channel in channels]
    poisoned("notifications_attempt", rows[1].pk, "delivery_id")
    dispatcher = dispatch.Dispatcher()
    for row in rows:
        dispatcher._unwritten.append(dispatch.Sent(row, Outcome.delivered("ok"), 1))
    dispatcher._write_down()
    states = [Delivery.objects.get(pk=row.pk).status for row in rows]
    assert [one == DeliveryStatus.SENT for one in states] == [True, False, True]
    assert str(rows[1].pk) in caplog.text
