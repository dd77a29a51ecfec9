"""The web process's own machine, read once a second for all who watch it, and not otherwise."""

import asyncio
import logging
from typing import Protocol
from weakref import WeakKeyDictionary

import orjson

from metrics.collectors.this_machine import this_machine

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 1.0


class Watcher(Protocol):
    """A socket that shows the machine. Returns at once."""

    def show(self, text: str) -> None: ...


class Sampler:
    """The shared clock of one event loop; it runs while somebody watches."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, watcher: Watcher) -> None:
        self._watchers.add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def remove(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                text = orjson.dumps(await asyncio.to_thread(this_machine)).decode()
                for watcher in list(self._watchers):
                    watcher.show(text)
            except Exception:
                logger.exception("this machine could not be read")
            due = max(due + PERIOD_SECONDS, loop.time())  # late ones are dropped, not made up
            await asyncio.sleep(due - loop.time())


_samplers: WeakKeyDictionary[asyncio.AbstractEventLoop, Sampler] = WeakKeyDictionary()


def sampler() -> Sampler:
    """The sampler of the running event loop."""
    return _samplers.setdefault(asyncio.get_running_loop(), Sampler())
