"""The link to a machine dies in silence, or is reset: seen soon, and back soon after."""

import queue
import re
import secrets

import pytest

from connections import ssh
from connections.ssh.reader import StreamReader
from metrics.collectors import program
from tests.faults import CHAOS, SCALE, promised
from tests.faults.conftest import Collect, StartMachines
from tests.faults.machines import Machine
from tests.faults.network import Network
from tests.faults.records import Samples, events, now, state
from tests.faults.site import Site
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

PROMISED_SEEN = 15.0
# TCP itself asks again 1, 3 and 7 s after an attempt that found no answer; that is not scaled.
PROMISED_BACK = 15.0
# The machine's own patience without a heartbeat, in seconds; the product's is 30.
PATIENCE = 30.0 if CHAOS else 3.0


@pytest.mark.parametrize("how", ["cut", "cut_towards"] if CHAOS else ["cut"])
def test_a_dead_link_is_seen_and_comes_back(
    site: Site,
    start_machines: StartMachines,
    collect: Collect,
    network: Network,
    how: str,
) -> None:
    (machine,) = start_machines(address=network.address, prefix=network.prefix)
    samples = collect(site, [machine])
    site.keeper()
    until(lambda: samples.have_all(3), "samples")

    died = now()
    getattr(network, how)()
    until(lambda: _unwell(site, machine, died), "the dead link is seen")
    seen = _unwell(site, machine, died)[0] - died
    until(lambda: state(site, machine.id) == ("connecting", "unreachable"), "it is called lost")
    until(lambda: now() > died + 15 * SCALE, "a while")
    network.heal()
    back = _back(site, samples, machine)
    print(f"F16 {how}: seen after {seen:.2f} s, back after {back:.2f} s")
    assert seen <= promised(PROMISED_SEEN)
    assert back <= PROMISED_BACK
    assert "error" not in [event.status for event in events(site, machine.id, died)]


def test_a_reset_link_is_tried_with_growing_pauses_and_comes_back(
    site: Site, start_machines: StartMachines, collect: Collect, network: Network
) -> None:
    (machine,) = start_machines(address=network.address, prefix=network.prefix)
    samples = collect(site, [machine])
    keeper = site.keeper()
    until(lambda: samples.have_all(3), "samples")

    died = now()
    network.refuse()
    until(lambda: _unwell(site, machine, died), "the reset is seen")
    seen = _unwell(site, machine, died)[0] - died
    until(lambda: now() > died + 15 * SCALE, "a while")
    network.heal()
    back = _back(site, samples, machine)
    waits = [float(text) for text in re.findall(r"retry in ([0-9.]+) s", keeper.log.read_text())]
    print(f"F17: seen after {seen:.2f} s, waited {waits} s, back after {back:.2f} s")
    assert seen <= promised(PROMISED_SEEN)
    assert back <= promised(PROMISED_BACK)
    assert 2 <= len(waits) <= 6
    for number, wait in enumerate(waits):
        # 1, 2, 4, 8 s …, each shortened by at most half; the log has tenths.
        longest = 2**number * SCALE
        assert longest / 2 - 0.06 <= wait <= longest + 0.06


def test_a_collector_ends_when_the_site_has_vanished(
    start_machines: StartMachines, network: Network
) -> None:
    (machine,) = start_machines(address=network.address, prefix=network.prefix)
    drain = StreamReader(lambda: None)
    drain.start()
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with ssh.open_session(_target(machine, network)) as session:
        launch = program.launch(secrets.token_hex(16), patience_seconds=PATIENCE)
        session.open_stream(
            drain,
            launch.command,
            launch.stdin,
            on_data=received.put,
            on_close=lambda status: None,
        )
        received.get(timeout=20)
        assert machine.collector_pids()
        network.cut()
        cut = now()
        until(lambda: not machine.collector_pids(), "it ends", seconds=70)
        took = now() - cut
    drain.stop()
    print(f"F16: the collector ended {took:.1f} s after the link died, patience {PATIENCE:g} s")
    assert took <= 2 * PATIENCE


def _unwell(site: Site, machine: Machine, since: float) -> list[float]:
    """When the history said since then that it is not simply connected."""
    told = events(site, machine.id, since)
    return [event.at for event in told if (event.status, event.reason) != ("connected", "")]


def _back(site: Site, samples: Samples, machine: Machine) -> float:
    """Seconds until there are samples and the state is right again."""
    healed = now()
    until(lambda: state(site, machine.id) == ("connected", ""), "it is connected again", seconds=60)
    until(lambda: samples.have_all(1, healed), "samples again")
    connected = [e.at for e in events(site, machine.id, healed) if e.status == "connected"]
    return max(connected[-1], min(samples.times(machine.id, healed))) - healed


def _target(machine: Machine, network: Network) -> ssh.Target:
    return ssh.Target(
        hostname=network.address,
        port=machine.server.port,
        username=machine.server.user,
        credentials=ssh.Credentials(private_key=machine.server.client_key),
        address=network.address,
        host_key=machine.server.host_key_fingerprint,
    )
