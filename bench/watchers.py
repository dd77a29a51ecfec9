"""A program: many browsers' sockets that follow the fleet.

The first one parses every sample and measures its age since the keeper read it, on the same clock;
the others count bytes, because one process that parses for all of them would measure itself.
"""

import argparse
import asyncio
import threading
import time
from datetime import datetime
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from bench import talk

_SUBSCRIBE = '{"action":"subscribe","topics":["fleet"]}'


class Ages:
    """What the first socket saw since it was asked last."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.bytes = 0
        self.messages = 0

    def take(self, text: str | bytes, *, parse: bool) -> None:
        self.bytes += len(text)
        self.messages += 1
        if not parse:
            return
        frame = orjson.loads(text)
        if frame["event"] != "sample":
            return
        now = time.time()
        for sample in frame["data"]["samples"]:
            read_at = datetime.fromisoformat(sample["recorded_at"]).timestamp()
            self.milliseconds.append((now - read_at) * 1000)

    def handed_over(self) -> dict[str, Any]:
        """What there is, beginning anew."""
        told = {"ages": self.milliseconds, "bytes": self.bytes, "messages": self.messages}
        self.milliseconds, self.bytes, self.messages = [], 0, 0
        return told


async def _follow(socket: ClientConnection, ages: Ages, *, parse: bool) -> None:
    await socket.send(_SUBSCRIBE)
    async for text in socket:
        ages.take(text, parse=parse)


async def _main(url: str, token: str, count: int) -> None:
    ages, loop, over = Ages(), asyncio.get_running_loop(), asyncio.Event()
    headers = {"Authorization": f"Bearer {token}"}
    sockets = [
        await connect(url, additional_headers=headers, compression=None, proxy=None)
        for _ in range(count)
    ]
    tasks = [
        asyncio.create_task(_follow(socket, ages, parse=number == 0))
        for number, socket in enumerate(sockets)
    ]

    def talk_then_end() -> None:
        talk.serve(ages.handed_over)
        loop.call_soon_threadsafe(over.set)

    for task in tasks:
        task.add_done_callback(lambda _: over.set())
    threading.Thread(target=talk_then_end, daemon=True).start()
    await over.wait()
    for task in tasks:
        task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    asyncio.run(_main(options.url, options.token, options.count))


if __name__ == "__main__":
    main()
