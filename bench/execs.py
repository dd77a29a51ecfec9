"""A program: one command per machine and poll over asyncssh, on connections that are kept.

gpustat-web works like this, but polls all machines in one burst, which is cheaper per poll and
makes the answers late; it is measured as itself (`gpustat_web`). Here every machine has its own
clock, and polls are spread over the interval as the frames of the stream are. What is read is
dropped.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import asyncssh

from bench import talk
from bench.machines import POLL_COMMAND

_INTERVAL_SECONDS = 2.0
# Fractions of the golden ratio spread any number of machines evenly.
_SPREAD = 0.6180339887


class Poller:
    """All machines of one `fleet.json`."""

    def __init__(self, machines: list[dict[str, Any]]) -> None:
        self.samples = 0
        self.all_connected = asyncio.Event()
        self._machines = machines
        self._connected = 0

    async def run(self) -> None:
        """Poll for ever; the first error ends it."""
        late = (index * _SPREAD % 1 * _INTERVAL_SECONDS for index in range(len(self._machines)))
        await asyncio.gather(*map(self._poll, self._machines, late))

    async def _poll(self, machine: dict[str, Any], late_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        async with asyncssh.connect(
            machine["hostname"],
            machine["port"],
            username=machine["username"],
            client_keys=[machine["private_key_path"]],
            known_hosts=None,
            config=None,
            agent_path=None,
            login_timeout=60,
        ) as connection:
            self._connected += 1
            if self._connected == len(self._machines):
                self.all_connected.set()
            await self.all_connected.wait()
            due = loop.time() + late_seconds
            while True:
                await asyncio.sleep(max(0.0, due - loop.time()))
                await connection.run(POLL_COMMAND, check=True)
                self.samples += 1
                due += _INTERVAL_SECONDS


async def main(machines: list[dict[str, Any]]) -> None:
    poller, loop, over = Poller(machines), asyncio.get_running_loop(), asyncio.Event()

    def talk_then_end() -> None:
        talk.serve(lambda: {"samples": poller.samples})
        loop.call_soon_threadsafe(over.set)

    polling = asyncio.create_task(poller.run())
    polling.add_done_callback(lambda _: over.set())
    connected = asyncio.create_task(poller.all_connected.wait())
    await asyncio.wait([connected, polling], return_when=asyncio.FIRST_COMPLETED)
    threading.Thread(target=talk_then_end, daemon=True).start()
    await over.wait()
    if polling.done():
        await polling  # raises what ended it
    polling.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text("utf-8"))["machines"]))
