"""A keeper is killed with -9: another one goes on, and nothing of the dead one stays behind."""

import math

import pytest

from tests.faults import INTERVAL, SCALE, TTL, WINDOW, promised
from tests.faults.conftest import Collect, StartMachines
from tests.faults.records import now, windows
from tests.faults.site import Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

PROMISED_END_OF_COLLECTORS = 60.0
LOST_SECONDS = 5.0 * SCALE


def test_another_keeper_goes_on_and_no_reading_is_lost(
    site: Site, start_machines: StartMachines, collect: Collect
) -> None:
    machines = start_machines(10)
    samples = collect(site, machines)
    first = site.keeper("first")
    site.keeper("second")
    site.beat()
    owners = "SELECT count(*), count(DISTINCT owner_id) FROM connections_connection"
    until(lambda: site.query(owners) == [(10, 2)] and _shares(site) == [5, 5], "5 each")
    shared = now()
    until(lambda: samples.have_all(3, shared), "samples of all")

    name = f"%:{first.process.pid}"
    of_first = "SELECT id FROM connections_connection WHERE owner_id = "
    of_first += "(SELECT id FROM connections_keeper WHERE name LIKE %s)"
    orphans_of = {id for (id,) in site.query(of_first, name)}
    theirs = [machine for machine in machines if machine.id in orphans_of]
    assert len(theirs) == 5
    until(lambda: all(machine.session_pids() for machine in theirs), "sessions of the first")
    before = {machine.id: machine.session_pids() for machine in theirs}

    killed = now()
    first.kill()
    assert first.leftovers() == []
    dead = now()
    until(
        lambda: not any(m.session_pids() & before[m.id] for m in theirs),
        "collectors end",
        seconds=60,
    )
    ended = now() - dead
    until(lambda: samples.have_all(3, killed + TTL / 2), "samples of all again")
    returns = [min(samples.times(m.id, killed + INTERVAL)) - killed for m in theirs]
    print(f"F7: samples again after {max(returns):.2f} s, collectors ended {ended:.2f} s")
    assert max(returns) <= promised(20)
    assert ended <= PROMISED_END_OF_COLLECTORS

    # The window in which it died, and those after it, hold every reading that was shown.
    until(
        lambda: all(max(windows(site, m.id), default=0) > killed for m in theirs),
        "windows are saved",
        seconds=WINDOW * 4 + 20,
    )
    for machine in theirs:
        _nothing_lost(windows(site, machine.id), samples.times(machine.id), killed)


def _shares(site: Site) -> list[int]:
    rows = site.query("SELECT count(*) FROM connections_connection GROUP BY owner_id")
    return [count for (count,) in rows]


def _nothing_lost(saved: dict[float, int], shown: list[float], since: float) -> None:
    """Each window holds as many readings as were shown in its span, but for 5 s of them."""
    end = math.ceil(since / WINDOW) * WINDOW
    while end <= max(saved):
        expected = sum(end - WINDOW <= at < end for at in shown)
        missing = expected - saved.get(end, 0)
        assert missing <= LOST_SECONDS / INTERVAL, f"{missing} of {expected} are not saved"
        end += WINDOW
