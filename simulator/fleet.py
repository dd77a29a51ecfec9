"""Several simulated machines in one process: `start` in a running loop, `running` for a test.

    with fleet.running([MachineSpec("sim-a", "dgx-spark")], tmp_path) as machines:
        machines["sim-a"].port
        machines.apply("sim-a", "freeze")

The folder holds everything; a fleet started again in the same folder keeps ports and keys.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import random
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from simulator import faults
from simulator.keys import kept_key
from simulator.loopthread import in_thread
from simulator.machine import Machine, MachineSpec

logger = logging.getLogger(__name__)
T = TypeVar("T")

_TICK_SECONDS = 1.0


class Fleet:
    """Open machines by name."""

    def __init__(self, folder: Path, machines: dict[str, Machine]) -> None:
        self.folder = folder
        self.machines = machines

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    async def apply(self, name: str, fault: str, **options: Any) -> None:
        """Let a fault happen to one machine; see `simulator.faults`."""
        await faults.apply(self.machines[name], fault, **options)

    @property
    def private_key_path(self) -> Path:
        """The private key that opens every machine that was given no keys of its own."""
        return self.folder / "client_key"

    def entries(self) -> list[dict[str, Any]]:
        """What a client needs to know of each machine."""
        return [
            {
                "name": machine.spec.name,
                "profile": machine.spec.profile,
                "hostname": machine.spec.address,
                "port": machine.port,
                "username": machine.spec.username,
                "private_key_path": str(self.private_key_path),
                "password": machine.spec.password,
                "host_key_fingerprint": machine.host_key_fingerprint,
                "host_key_line": machine.host_key_line,
            }
            for machine in self.machines.values()
        ]


@contextlib.asynccontextmanager
async def start(specs: Sequence[MachineSpec], folder: Path | str) -> AsyncIterator[Fleet]:
    """Open the machines below `folder`, write `fleet.json`, and close everything at the end."""
    folder = fleet_folder(folder)
    client_key = kept_key(folder / "client_key").export_public_key().decode()
    ports = former_ports(folder)
    fleet = Fleet(folder, {})
    life: list[asyncio.Task[None]] = []
    try:
        for spec in specs:
            spec = dataclasses.replace(
                spec,
                authorized_keys=spec.authorized_keys or (client_key,),
                port=spec.port or ports.get(spec.name, 0),
            )
            fleet.machines[spec.name] = await _opened(spec, folder)
        write_fleet_file(folder, fleet.entries())
        life = [asyncio.create_task(_live(fleet))]
        life += [
            asyncio.create_task(_misbehave(machine))
            for machine in fleet.machines.values()
            if machine.profile.is_unstable
        ]
        yield fleet
    finally:
        for task in life:
            task.cancel()
        await asyncio.gather(*life, return_exceptions=True)
        await asyncio.gather(*(machine.close() for machine in fleet.machines.values()))


class RunningFleet:
    """A fleet in a thread of its own, for synchronous callers."""

    def __init__(self, fleet: Fleet, loop: asyncio.AbstractEventLoop) -> None:
        self.fleet = fleet
        self._loop = loop

    def __getitem__(self, name: str) -> Machine:
        """A machine, to be read (port, journal, home); change it through `apply`."""
        return self.fleet[name]

    def apply(self, name: str, fault: str, **options: Any) -> None:
        """Let a fault happen and wait until it has."""
        self.call(self.fleet.apply(name, fault, **options))

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the fleet's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


@contextlib.contextmanager
def running(specs: Sequence[MachineSpec], folder: Path | str) -> Iterator[RunningFleet]:
    """As `start`, for code without an event loop."""
    with in_thread(lambda: start(specs, folder)) as (fleet, loop):
        yield RunningFleet(fleet, loop)


def fleet_folder(folder: Path | str) -> Path:
    """The folder of a fleet by its real path, made if need be; only its owner may enter."""
    path = Path(folder).resolve()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


async def _opened(spec: MachineSpec, folder: Path) -> Machine:
    machine = Machine(spec, folder / "machines" / spec.name)
    try:
        await machine.open()
    except OSError as error:
        logger.warning(
            "machine=%s port=%d is taken (%s); another is used", spec.name, spec.port, error
        )
        machine = Machine(dataclasses.replace(spec, port=0), machine.folder)
        await machine.open()
    return machine


async def _live(fleet: Fleet) -> None:
    """Let time pass for all machines, a tenth of a second apart so that they do not act as one."""
    while True:
        for machine in fleet.machines.values():
            machine.tick()
            await asyncio.sleep(_TICK_SECONDS / max(1, len(fleet.machines)))


async def _misbehave(machine: Machine) -> None:
    """What an unstable machine does by itself: now and then it freezes, or its links drop."""
    rng = random.Random(machine.spec.seed)
    while True:
        await asyncio.sleep(rng.uniform(60, 150))
        if rng.random() < 0.5:
            await faults.drop(machine)
        else:
            await faults.freeze(machine)
            await asyncio.sleep(rng.uniform(12, 25))
            await faults.thaw(machine)


def former_ports(folder: Path) -> dict[str, int]:
    """The ports of the fleet that ran in this folder before, by name."""
    try:
        text = (folder / "fleet.json").read_text(encoding="utf-8")
        return {entry["name"]: entry["port"] for entry in json.loads(text)["machines"]}
    except (OSError, ValueError, KeyError):
        return {}


def write_fleet_file(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Tell clients what machines there are, in `fleet.json`, all at once."""
    fresh = folder / "fleet.json.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"machines": entries}, file, indent=2)
    fresh.replace(folder / "fleet.json")
