"""A fleet with one machine of each kind, shared by the tests of a module that break nothing."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from simulator.fleet import RunningFleet, running
from simulator.machine import MachineSpec
from tests.simulator import client

PROFILES = ("dgx-spark", "dgx-h100", "amd", "rtx", "cpu-only")

Shell = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    specs = [
        MachineSpec(f"sim-{profile}", profile, seed=index) for index, profile in enumerate(PROFILES)
    ]
    with running(specs, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def shell(fleet: RunningFleet) -> Shell:
    """Run a command on a machine: `shell("dgx-spark", "id")`."""

    def run(profile: str, command: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        key = fleet.fleet.private_key_path
        return client.run(fleet[f"sim-{profile}"], key, command, stdin)

    return run


@pytest.fixture(scope="module")
def says(shell: Shell) -> Callable[[str, str], list[str]]:
    """The lines that a command prints; it has to succeed."""

    def lines(profile: str, command: str) -> list[str]:
        done = shell(profile, command)
        assert done.returncode == 0, done
        return done.stdout.decode().splitlines()

    return lines
