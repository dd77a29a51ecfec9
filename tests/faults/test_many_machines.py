"""Ten machines at once: an even cadence that costs them little, and one that freezes among them."""

import signal
import time
from collections import Counter

import pytest
import redis

from tests.faults import CHAOS, PATIENCE
from tests.faults.conftest import Collect, StartMachines, StartSite
from tests.faults.forks import Forks
from tests.faults.records import Event, events, now, p95
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

# In real time also in the short run: a promise about jitter means nothing when it is scaled.
INTERVAL = 2.0
WATCHED_SECONDS = 60.0 if CHAOS else 10.0
FROZEN_SECONDS = 60.0 if CHAOS else 13.0
PROMISED_CADENCE = 2.5 * PATIENCE
PROMISED_SHIFT = 1.10 * PATIENCE
PROMISED_STALE = 8.0 * PATIENCE
PROMISED_RECONNECTING = 15.0 * PATIENCE
# The longest deadline of an attempt to log in, and one second.
PROMISED_END_OF_CALL = 16.0 * PATIENCE
# A frame takes a `cat` and a `sleep`; disks, containers and other slow facts come every 10 s.
FORKS_PER_SAMPLE = 8.0


def test_ten_machines_are_read_evenly_also_when_one_freezes(
    start_site: StartSite,
    redis_client: redis.Redis,
    start_machines: StartMachines,
    collect: Collect,
) -> None:
    site = start_site(scale=1.0)
    machines = start_machines(10, with_gpu=True)
    samples = collect(site, machines)
    site.keeper()
    site.beat()
    until(lambda: samples.have_all(3), "samples of all")

    started = now()
    tool_starts = [machine.gpu_tool_starts() for machine in machines]
    with Forks(machines[0].session_pids()) as forks:
        time.sleep(WATCHED_SECONDS)
    per_sample = forks.started / (now() - started) * INTERVAL
    quiet = samples.gaps([machine.id for machine in machines], started)
    print(
        f"cadence: p95 {p95(quiet):.3f} s, worst {max(quiet):.3f} s of {len(quiet)} gaps; "
        f"{per_sample:.1f} forks a sample: {Counter(forks.programs)}"
    )
    assert p95(quiet) <= PROMISED_CADENCE
    assert [machine.logins for machine in machines] == [1] * 10
    assert per_sample <= FORKS_PER_SAMPLE
    assert "nvidia-smi" not in forks.programs
    assert [machine.gpu_tool_starts() for machine in machines] == tool_starts
    assert all(count > 0 for count in tool_starts)

    frozen, others = machines[0], machines[1:]
    froze = now()
    frozen.server.signal_all(signal.SIGSTOP)
    until(
        lambda: now() > froze + FROZEN_SECONDS and len(events(site, frozen.id, froze)) > 1,
        "a while, and the attempt to reconnect",
        seconds=FROZEN_SECONDS + PROMISED_RECONNECTING,
    )
    beside = samples.gaps([machine.id for machine in others], froze)
    before = samples.gaps([machine.id for machine in others], started, froze)
    told = events(site, frozen.id, froze)
    frozen.server.signal_all(signal.SIGCONT)
    thawed = now()
    until(lambda: samples.times(frozen.id, thawed), "the frozen machine comes back", seconds=60)
    back = samples.times(frozen.id, thawed)[0] - thawed
    _judge(told, froze, samples.times(frozen.id, 0, froze + 1)[-1])
    print(
        f"F20: p95 of the others {p95(before):.3f} → {p95(beside):.3f} s, back {back:.2f} s; "
        + ", ".join(f"{e.status}/{e.reason} {e.at - froze:.2f} s" for e in told)
    )
    assert p95(beside) <= PROMISED_SHIFT * p95(before)
    assert [machine.logins for machine in others] == [1] * 9


def _judge(told: list[Event], froze: float, last: float) -> None:
    """Stale, then reconnecting, and the attempt to log in ended by its deadline."""
    assert (told[0].status, told[0].reason) == ("connected", "stale")
    assert told[0].at - froze <= PROMISED_STALE
    assert told[0].at - last >= 3 * INTERVAL
    assert told[1].status == "connecting"
    assert told[1].at - froze <= PROMISED_RECONNECTING
    attempts = [event for event in told if event.reason == "ssh_unresponsive"]
    if FROZEN_SECONDS > PROMISED_RECONNECTING + PROMISED_END_OF_CALL:
        assert attempts
    for event in attempts[:1]:
        assert event.at - told[1].at <= PROMISED_END_OF_CALL
