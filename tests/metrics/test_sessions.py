"""Traffic since connecting: from the first sample on, over resets, anew with every session."""

from datetime import timedelta

import pytest

from core import topics
from metrics.collectors.linux.network import preferred
from metrics.collectors.readings import MAX_WHOLE, Network
from metrics.history.buffer import Unsaved
from metrics.live import store as live_store
from metrics.live.sessions import REPEAT_SECONDS, Sessions, since
from tests.factories import make_connection
from tests.metrics.machines import MOMENT, make_sample

LINK = object()


@pytest.fixture
def row(db):
    return make_connection()


@pytest.fixture
def see(row, redis_client, monkeypatch):
    """Record one sample with these interfaces under a link, and read the session back."""
    monkeypatch.setattr(topics, "publish", lambda team, items: None)
    recorder = live_store.Recorder(Unsaved())
    moments = iter(MOMENT + timedelta(seconds=2 * step) for step in range(100))

    def record(*networks, link=LINK):
        sample = make_sample(next(moments), networks=networks)
        recorder.sessions.note(row.pk, link, sample)
        recorder.add(row.pk, row.team_id, 1, sample)
        recorder.flush({row.pk: 1})
        return live_store.session(row.pk)

    return record


def eth(rx, tx=0, name="eth0", **fields):
    return Network(name, rx, tx, rx // 10, tx // 10, **fields)


def received(session, name="eth0"):
    return session["networks"][name]["rx_bytes"]


def test_it_counts_from_the_first_sample(see):
    first = see(eth(1000, 50))
    assert first["networks"]["eth0"] == dict.fromkeys(
        ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets"), 0
    )
    later = see(eth(1700, 90))
    assert later["start_time"] == first["start_time"] == "2026-11-20T12:00:00.000Z"
    assert later["networks"]["eth0"] == {
        "rx_bytes": 700,
        "tx_bytes": 40,
        "rx_packets": 70,
        "tx_packets": 4,
    }


def test_a_reset_goes_on_where_it_was(see):
    see(eth(1000, 10))
    see(eth(1500, 20))
    assert received(see(eth(30, 5))) == 530
    assert received(see(eth(80, 6))) == 580
    assert received(see(eth(0, 0))) == 580
    assert see(eth(10, 7))["networks"]["eth0"]["tx_bytes"] == 10 + 6 + 7


def test_another_link_is_another_session(see):
    see(eth(1000))
    assert received(see(eth(5000))) == 4000
    again = see(eth(6000), link=object())
    assert received(again) == 0
    assert again["start_time"] == "2026-11-20T12:00:04.000Z"


def test_an_interface_that_comes_later_counts_from_zero(see):
    see(eth(1000))
    found = see(eth(1000), eth(300, name="wlan0"))
    assert received(found, "wlan0") == 300


def test_interfaces_that_could_not_be_read_at_first_count_from_when_they_were(see):
    see()
    see(eth(1000))
    assert received(see(eth(1010))) == 10


def test_a_counter_that_is_not_told_is_none(see):
    see(Network("eth0", 10, None, None, None))
    found = see(Network("eth0", 15, 5, None, None))["networks"]["eth0"]
    assert found == {"rx_bytes": 5, "tx_bytes": None, "rx_packets": None, "tx_packets": None}


def test_the_interface_of_the_default_route_is_named(see):
    assert see(eth(1), eth(1, name="wlan0"))["default"] is None
    assert (
        see(eth(1, is_default=False), eth(1, name="wlan0", is_default=True))["default"] == "wlan0"
    )


def test_nothing_is_known_of_a_machine_that_was_never_read(row, redis_client):
    assert live_store.session(row.pk) is None


def test_what_redis_forgot_is_written_again_within_a_minute(row):
    sessions = Sessions()
    sessions.note(row.pk, LINK, make_sample())
    assert list(sessions.due([row.pk], now=0.0)) == [row.pk]
    sessions.written([row.pk], now=0.0)
    assert sessions.due([row.pk], now=REPEAT_SECONDS) == {}
    assert list(sessions.due([row.pk], now=REPEAT_SECONDS + 1)) == [row.pk]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], None),
        (["eth0", "100"], "eth0"),
        (["wlan0", "600", "eth0", "100"], "eth0"),
        (["first", "0", "second", "0"], "first"),
        (["eth0"], None),
        (["eth0", "many"], None),
        (["eth0", "9" * 40, "wlan0", "1"], "wlan0"),
    ],
)
def test_the_least_metric_is_the_default(words, name):
    assert preferred(words) == name


def test_what_no_interface_can_have_carried_counts_anew(see):
    see(eth(MAX_WHOLE))
    see(eth(0))
    see(eth(MAX_WHOLE))
    assert received(see(eth(5))) == 5
    assert received(see(eth(7))) == 7


def test_a_total_beyond_64_bits_is_not_told():
    began = {"start_time": "", "default": None, "base": {"eth0": [-5, 0, 0, 0]}}
    found = since(began, [eth(MAX_WHOLE).as_dict()])
    assert received(found) is None
    assert found["networks"]["eth0"]["rx_packets"] == MAX_WHOLE // 10
