"""The fleets that can be started by name."""

from simulator.machine import MachineSpec

# name -> (machine, profile) in the order in which they are shown; every name says "simulated"
FLEETS: dict[str, tuple[tuple[str, str], ...]] = {
    "demo": (
        ("sim-spark-1", "dgx-spark"),
        ("sim-spark-2", "dgx-spark"),
        ("sim-h100-8", "dgx-h100"),
        ("sim-radeon", "amd"),
        ("sim-flaky", "flaky"),
    ),
    "small": (("sim-spark-1", "dgx-spark"),),
}


def fleet_specs(name: str, address: str, seed: int) -> list[MachineSpec]:
    """The machines of a named fleet."""
    return [
        MachineSpec(name=machine, profile=profile, address=address, seed=seed + index)
        for index, (machine, profile) in enumerate(FLEETS[name])
    ]
