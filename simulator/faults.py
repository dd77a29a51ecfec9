"""Everything that can go wrong with a simulated machine, by name.

`await apply(machine, "freeze")`; `await apply(machine, "heal")` undoes all but a reboot. To add a
fault, write a function and a line in `FAULTS`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from simulator import physics, statefiles
from simulator.machine import Machine
from simulator.processes import kill_processes_of
from simulator.tools.launch import PYTHON_TOOLS, hide

DRIVER_SENTENCE = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)
_DRIVER_STATUS = 9
_NOLOGIN = ["/bin/sh", "-c", 'echo "This account is currently not available."; exit 1']


async def freeze(machine: Machine) -> None:
    """TCP still connects and acknowledges, but not a byte moves; sessions stall."""
    machine.wire.flowing.clear()


async def thaw(machine: Machine) -> None:
    """End a freeze: held bytes arrive."""
    machine.wire.flowing.set()


async def drop(machine: Machine) -> None:
    """End every connection; new ones are welcome."""
    machine.cut_links()


async def reset(machine: Machine) -> None:
    """End every connection with a TCP reset."""
    machine.cut_links(reset=True)


async def refuse(machine: Machine) -> None:
    """Close the port and end every connection."""
    machine.stop_listening()
    machine.cut_links()


async def slow(
    machine: Machine, *, bytes_per_second: float = 2000.0, delay_seconds: float = 0.0
) -> None:
    """Limit each direction of each connection, and hold each piece back for a while."""
    machine.wire.bytes_per_second = bytes_per_second
    machine.wire.delay_seconds = delay_seconds


async def no_banner(machine: Machine) -> None:
    """New connections open and stay silent: the SSH server is wedged."""
    machine.wire.banner = b""


async def wrong_banner(machine: Machine, *, text: str = "220 mail ready\r\n" * 64) -> None:
    """New connections are answered by something that is not SSH."""
    machine.wire.banner = text.encode()


async def change_host_key(machine: Machine) -> None:
    """Show another host key, and end every connection so that it is seen."""
    machine.use_host_key(asyncssh.generate_private_key("ssh-ed25519"))
    machine.cut_links()


async def refuse_login(machine: Machine) -> None:
    """Refuse every key and password, and end every connection."""
    machine.door.refuses_everybody = True
    machine.cut_links()


async def nologin(machine: Machine) -> None:
    """Log in, but answer every command with the sentence of nologin(8)."""
    machine.shell = list(_NOLOGIN)


async def tool_garbage(
    machine: Machine, *, tool: str = "nvidia-smi", endless: bool = False
) -> None:
    """The tool prints bytes that no parser expects, endlessly if asked."""
    statefiles.write_tool_trouble(machine.state, tool, "flood" if endless else "garbage")


async def tool_hangs(machine: Machine, *, tool: str = "nvidia-smi") -> None:
    """The tool prints nothing and does not end, until it is healed."""
    statefiles.write_tool_trouble(machine.state, tool, "hang")


async def tool_fails(
    machine: Machine,
    *,
    tool: str = "nvidia-smi",
    text: str = DRIVER_SENTENCE,
    status: int = _DRIVER_STATUS,
) -> None:
    """The tool says `text` (as shipped: the driver is not running) and ends."""
    statefiles.write_tool_trouble(machine.state, tool, "fail", status=status, text=text)


async def tool_missing(machine: Machine, *, tool: str = "nvidia-smi") -> None:
    """The tool is no longer on the PATH; running copies go on."""
    path = machine.bin / tool
    if path.exists():
        path.rename(machine.state / f"removed-{tool}")
        hide(str(machine.bin), tool)


async def lose_gpu(machine: Machine, *, index: int = 0) -> None:
    """A card falls off the bus: running queries say so, new ones fail."""
    machine.body.gpus[index].is_lost = True
    machine.show()


async def docker_mode(machine: Machine, *, mode: str) -> None:
    """How docker answers: `ok`, `denied` (permission), `stopped` (no daemon)."""
    (machine.state / "docker-mode").write_text(mode, encoding="utf-8")


async def reboot(machine: Machine, *, down_seconds: float = 3.0) -> None:
    """Everything ends, the port closes for a while, and another boot id comes back."""
    machine.stop_listening()
    machine.cut_links(reset=True)
    # The jobs first: their processes are watched.
    physics.reboot(machine.body, time.time())
    machine.write_boot()
    machine.show()
    kill_processes_of(machine.folder)
    await asyncio.sleep(down_seconds)
    machine.listen()


async def heal(machine: Machine) -> None:
    """Undo every fault but what a reboot has ended."""
    machine.wire.bytes_per_second = None
    machine.wire.delay_seconds = 0.0
    machine.wire.banner = None
    machine.wire.flowing.set()
    machine.door.refuses_everybody = False
    machine.shell = [machine.spec.login_shell]
    if machine.host_key is not machine.own_host_key:
        machine.use_host_key(machine.own_host_key)
    for tool in PYTHON_TOOLS:
        statefiles.write_tool_trouble(machine.state, tool, None)
        with contextlib.suppress(FileNotFoundError):
            (machine.state / f"removed-{tool}").rename(machine.bin / tool)
    for gpu in machine.body.gpus:
        gpu.is_lost = False
    (machine.state / "docker-mode").write_text(machine.profile.docker, encoding="utf-8")
    machine.show()
    if not machine.is_listening:
        machine.listen()


Fault = Callable[..., Awaitable[None]]

FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        freeze,
        thaw,
        drop,
        reset,
        refuse,
        slow,
        no_banner,
        wrong_banner,
        change_host_key,
        refuse_login,
        nologin,
        tool_garbage,
        tool_hangs,
        tool_fails,
        tool_missing,
        lose_gpu,
        docker_mode,
        reboot,
        heal,
    )
}


async def apply(machine: Machine, fault: str, **options: Any) -> None:
    """Let `fault` happen. `KeyError` for an unknown name, `TypeError` for an unknown option."""
    await FAULTS[fault](machine, **options)
