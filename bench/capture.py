"""Make what the benches play: run the site's collector on one simulated machine and keep it.

Writes into a folder: `recording.json` for the light machines, and the answers of that machine's
`nvidia-smi` for the fake one behind real SSH servers. The recording is made anew each time, so it
is what today's collector prints.
"""

import asyncio
import sys
from pathlib import Path

import asyncssh

from metrics.collectors import program
from metrics.collectors.nvidia import compute_apps, query_csv
from simulator import fleet, recording
from simulator.machine import Machine, MachineSpec

_FORMAT = "--format=csv,noheader,nounits"
# File → what the site's collector asks `nvidia-smi`.
ANSWERS = {
    "list": "nvidia-smi -L",
    "xml": "nvidia-smi -q -x",
    "gpu": f"nvidia-smi --query-gpu={','.join(query_csv.GPU_FIELDS)} {_FORMAT}",
    "apps": f"nvidia-smi --query-compute-apps={','.join(compute_apps.FIELDS)} {_FORMAT}",
}


async def capture(folder: Path) -> None:
    """Takes about 15 s: the collector's slow facts come every 10 s."""
    spec = MachineSpec("sim-captured", "dgx-spark")
    async with fleet.start([spec], folder / "machine") as machines:
        machine, key = machines["sim-captured"], machines.private_key_path
        kept = await recording.record(machine, key, _launch)
        recording.save(kept, folder / "recording.json")
        await _ask(machine, key, folder)


def _launch(marker: str) -> tuple[str, bytes]:
    launch = program.launch(marker)
    return launch.command, launch.stdin


async def _ask(machine: Machine, key: Path, folder: Path) -> None:
    async with asyncssh.connect(
        machine.spec.address,
        machine.port,
        username=machine.spec.username,
        client_keys=[str(key)],
        known_hosts=None,
        config=None,
        agent_path=None,
    ) as connection:
        for name, command in ANSWERS.items():
            done = await connection.run(command, encoding=None)
            assert isinstance(done.stdout, bytes)
            (folder / name).write_bytes(done.stdout)


if __name__ == "__main__":
    asyncio.run(capture(Path(sys.argv[1])))
