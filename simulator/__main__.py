"""`python -m simulator`: run a fleet until told to stop, or make a fault happen in a running one.

    python -m simulator --fleet demo --dir DIR
    python -m simulator --light 200 --recording FILE --dir DIR
    python -m simulator --dir DIR --machine sim-spark-1 --fault slow bytes_per_second=500

A running fleet ends on SIGTERM, on SIGINT and when the process that started it dies; it leaves no
process behind. Clients read DIR/fleet.json, which is written when every machine is open.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from simulator import control, light
from simulator.demo import FLEETS, fleet_specs
from simulator.faults import FAULTS
from simulator.fleet import start
from simulator.recording import load

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when done, 1 when a fault was refused."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    if options.fault is not None:
        return _send_fault(options)
    _end_with_parent(os.getppid())
    asyncio.run(_serve(options))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulator", description="Simulated GPU machines.")
    parser.add_argument("--dir", type=Path, required=True, help="folder of the fleet")
    parser.add_argument("--fleet", choices=sorted(FLEETS), default="demo")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same history")
    parser.add_argument("--light", type=int, help="number of light machines, in place of a fleet")
    parser.add_argument("--recording", type=Path, help="what the light machines play")
    parser.add_argument("--many-addresses", action="store_true", help="one address per machine")
    parser.add_argument("--machine", help="machine that a fault happens to")
    parser.add_argument("--fault", choices=sorted(FAULTS))
    parser.add_argument("fault_options", nargs="*", metavar="NAME=VALUE")
    return parser.parse_args(arguments)


def _send_fault(options: argparse.Namespace) -> int:
    pairs = (pair.partition("=") for pair in options.fault_options)
    try:
        control.send(
            options.dir,
            options.machine or "",
            options.fault,
            **{name: _value(text) for name, _, text in pairs},
        )
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        if options.light is not None:
            recording = load(options.recording)
            many = options.many_addresses
            await stack.enter_async_context(
                light.start(options.light, options.dir, recording, many_addresses=many)
            )
        else:
            specs = fleet_specs(options.fleet, options.address, options.seed)
            fleet = await stack.enter_async_context(start(specs, options.dir))
            await stack.enter_async_context(control.listening(fleet))
        print(f"Simulated machines are ready: {options.dir}/fleet.json", flush=True)
        await stop.wait()


def _end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies (Linux alone can)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # It died before the kernel was asked.
            os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
