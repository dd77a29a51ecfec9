"""What a machine brings beyond what it was asked for is left out, and said."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from metrics.collectors.readings import Health, Network, Process, Sample
from metrics.live import pace
from metrics.live import sessions as live_sessions
from metrics.live import store as live_store
from metrics.live.pace import Pace

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GOOD = Health("proc", True)


def sample(**fields: Any) -> Sample:
    return replace(Sample(NOW, health=(GOOD,)), **fields)


def take(pacing: Pace, now: float) -> Sample | None:
    return pacing.marked(sample()) if pacing.wants(now) else None


def test_the_asked_pace_is_taken_whole() -> None:
    pacing = Pace(2.0, 0.0)
    taken = [take(pacing, 2.0 * number) for number in range(500)]
    assert all(one is not None and one.health == (GOOD,) for one in taken)


def test_what_a_network_held_up_is_taken_at_once() -> None:
    pacing = Pace(2.0, 0.0)
    assert all(take(pacing, 40.0) for _ in range(20))


def test_a_flood_is_thinned_and_named() -> None:
    pacing = Pace(2.0, 0.0)
    taken = [take(pacing, number / 100) for number in range(6000)]
    kept = [one for one in taken if one is not None]
    assert 60 <= len(kept) <= 120
    entry = kept[-1].health[-1]
    assert (entry.source, entry.ok) == ("proc", False)
    assert "more than were asked for" in (entry.detail or "")


def test_a_sample_that_is_too_large_is_stored_shorter_and_says_so() -> None:
    processes = tuple(
        Process("GPU-1", pid, "p" * 200, f"user-{pid}", "c" * 100, pid) for pid in range(1024)
    )
    networks = tuple(Network(f"veth{number}") for number in range(512))
    body = live_store._body(sample(processes=processes, networks=networks))
    assert len(body) <= pace.MAX_SAMPLE_BYTES
    told = orjson.loads(body)
    assert told["processes"][0]["pid"] == 1023
    (entry,) = [entry for entry in told["health"] if not entry["ok"]]
    assert "KiB" in entry["detail"]


def test_interfaces_that_change_all_the_time_are_forgotten_again() -> None:
    kept = live_sessions.Sessions()
    token, machine = object(), uuid4()
    for number in range(100):
        names = [f"veth{number}-{one}" for one in range(512)]
        networks = tuple(Network(name, rx_bytes=1) for name in ["eth0", *names])
        networks = (replace(networks[0], is_default=True), *networks[1:])
        kept.note(machine, token, sample(networks=networks))
    written = orjson.loads(kept.due([machine])[machine])
    assert len(written["base"]) <= live_sessions.MAX_NAMES
    assert "eth0" in written["base"]


def test_an_interface_that_stays_keeps_its_count_however_many_others_come_and_go() -> None:
    kept = live_sessions.Sessions()
    token, machine = object(), uuid4()
    for number in range(40):
        others = [Network(f"veth{number}-{one}", rx_bytes=1) for one in range(100)]
        real = Network("ib0", rx_bytes=1000 + number)
        kept.note(machine, token, sample(networks=(real, *others)))
    written = orjson.loads(kept.due([machine])[machine])
    assert written["base"]["ib0"][0] == 1000
