"""A keeper sleeps through its lease and wakes up: what it still believes changes nothing."""

import signal

import pytest

from tests.faults import CHAOS, TTL, WINDOW, promised
from tests.faults.conftest import Collect, StartMachines
from tests.faults.records import events, now, windows
from tests.faults.site import Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


def test_a_keeper_that_slept_writes_nothing_and_lets_go(
    site: Site, start_machines: StartMachines, collect: Collect
) -> None:
    machines = start_machines(2)
    samples = collect(site, machines)
    sleeper = site.keeper("sleeper")
    site.beat()
    until(lambda: samples.have_all(3), "the first keeper reads both")
    stale = {machine.id: machine.session_pids() for machine in machines}

    slept = now()
    sleeper.signal(signal.SIGSTOP)
    site.keeper("successor")
    until(lambda: samples.have_all(3, slept + TTL), "the second keeper reads both")
    taken = {machine.id: samples.epochs[machine.id][-1] for machine in machines}
    until(lambda: not CHAOS or now() > slept + 60, "a minute", seconds=70)
    woke = now()
    sleeper.signal(signal.SIGCONT)

    until(
        lambda: not any(machine.session_pids() & stale[machine.id] for machine in machines),
        "the old sessions end",
    )
    took = now() - woke
    # Both are alive again: they share, and every machine is read on.
    shares = "SELECT count(*) FROM connections_connection GROUP BY owner_id"
    until(lambda: site.query(shares) == [(1,), (1,)], "they share")
    shared = now()
    until(lambda: samples.have_all(4, shared), "both are read")
    until(
        lambda: all(max(windows(site, m.id), default=0) > woke for m in machines),
        "windows are saved",
        seconds=WINDOW * 4 + 20,
    )
    for machine in machines:
        _one_after_the_other(samples.epochs[machine.id])
        seen = samples.seen[machine.id]
        assert [one.seq for one in seen] == list(range(1, len(seen) + 1))
        assert seen == sorted(seen)
        # Nothing that it received in its sleep, or before, came in after its successor's.
        assert samples.epochs[machine.id][0] < taken[machine.id]
        told = [event.status for event in events(site, machine.id, slept)]
        assert "disconnected" not in told
        assert "error" not in told
        _no_more_than_there_were(windows(site, machine.id), samples.times(machine.id))
    print(f"F10: old sessions ended {took:.2f} s after waking at {woke - slept:.1f} s")
    assert took <= promised(8)


def _one_after_the_other(epochs: list[int]) -> None:
    assert epochs == sorted(set(epochs)), "an older epoch wrote after a newer one"


def _no_more_than_there_were(saved: dict[float, int], shown: list[float]) -> None:
    """A reading that two keepers counted would make a window larger than what was shown."""
    for end, readings in saved.items():
        # Times are shown in milliseconds: a reading may lie just beyond the border.
        near = sum(end - WINDOW - 0.002 <= at < end + 0.002 for at in shown)
        assert readings <= near, f"{readings} of {near} readings in one window"
