"""What a simulated machine does over time."""

from itertools import pairwise
from typing import Any

import pytest

from simulator import physics, procfs
from simulator.profiles import PROFILES


def history(profile: str, seed: int, seconds: int) -> list[dict[str, Any]]:
    machine = physics.create(PROFILES[profile], seed, now=1_700_000_000.0)
    states = []
    for _ in range(seconds):
        physics.advance(machine, 1.0)
        states.append(
            {
                "load": [gpu.utilization_percent for gpu in machine.gpus],
                "heat": [gpu.temperature_c for gpu in machine.gpus],
                "jobs": {job.pid for job in machine.jobs},
                "memory": physics.memory_used_kib(machine),
            }
        )
    return states


def test_the_same_seed_gives_the_same_history() -> None:
    assert history("dgx-h100", 3, 200) == history("dgx-h100", 3, 200)
    assert history("dgx-h100", 3, 200) != history("dgx-h100", 4, 200)


@pytest.mark.parametrize("profile", ["dgx-spark", "dgx-h100", "amd", "rtx"])
def test_load_and_heat_stay_in_range_and_move_smoothly(profile: str) -> None:
    states = history(profile, 1, 900)
    for before, after in pairwise(states):
        for name, step in (("load", 30), ("heat", 4)):
            for old, new in zip(before[name], after[name], strict=True):
                assert 0 <= new <= 100
                assert abs(new - old) <= step


def test_jobs_come_and_go_and_take_unified_memory_with_them() -> None:
    states = history("dgx-spark", 2, 1800)
    assert len(set().union(*(state["jobs"] for state in states))) >= 3
    idle = min(state["memory"] for state in states if not state["jobs"])
    busy = max(state["memory"] for state in states if state["jobs"])
    assert busy > idle + 5 * 1024 * 1024


def test_counters_never_go_back_until_a_reboot() -> None:
    machine = physics.create(PROFILES["dgx-spark"], 1, now=1_700_000_000.0)
    before = procfs.render(machine)["proc/stat"].split()[1:5]
    boot_id = machine.boot_id
    physics.advance(machine, 10.0)
    after = procfs.render(machine)["proc/stat"].split()[1:5]
    assert all(int(new) >= int(old) for old, new in zip(before, after, strict=True))
    assert after != before
    physics.reboot(machine, now=1_700_000_010.0)
    assert machine.boot_id != boot_id
    assert procfs.render(machine)["proc/uptime"].startswith("0.00 ")
