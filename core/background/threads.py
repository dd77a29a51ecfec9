"""The threads that a process needs for as long as it lives. One that died is started again.

A thread dies of what nobody catches: memory that is used up, a panic in a library. The others go
on, so that nobody would miss it for hours. `look` is called every few seconds by more than one
thread, starts again what died, and names what is not well; `/api/health` repeats it.

Owned here: the keeper's deciding thread and its pulse, the one that reads all sessions, the agent
of the jobs, the reader of the site's own machine, the loop that sends to the pages, and the one
that sends notifications. `tests/e2e/test_threads.py` kills each of them.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# One that was started again is trusted after this long.
PROVEN_SECONDS = 5.0

# All that are wanted. A thread that died is referred to from nowhere else, if its owner keeps none.
_started: "set[Loop]" = set()
_looking = threading.Lock()


class Loop:
    """A daemon thread that runs `target` until its owner says `end`.

    `what` says in words what the thread does. With `patience_seconds` it has to show that it is
    alive by calling `beat` at least that often.
    """

    def __init__(
        self,
        name: str,
        what: str,
        target: Callable[[], None],
        *,
        patience_seconds: float | None = None,
    ) -> None:
        self.name = name
        self.what = what
        self._target = target
        self._patience_seconds = patience_seconds
        self._thread: threading.Thread | None = None
        self.is_wanted = False
        self._last_beat = 0.0
        self._died_at: float | None = None

    def start(self) -> None:
        """Start it, unless it runs; one that died is started again as `look` would do it."""
        with _looking:
            if self.is_wanted:
                self._revive()
                return
            self.is_wanted, self._died_at = True, None
            _started.add(self)
            self._run()

    def end(self) -> None:
        """It is no longer wanted; the thread itself has to see that and return."""
        with _looking:
            self.is_wanted = False
            _started.discard(self)

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    def beat(self) -> None:
        """Called by the thread: it is alive."""
        self._last_beat = time.monotonic()

    def is_well(self) -> bool:
        """Whether it runs, shows signs of life, and did not have to be started again just now."""
        if not self.is_wanted:
            return True
        now = time.monotonic()
        is_proven = self._died_at is None or now - self._died_at > PROVEN_SECONDS
        is_stuck = (
            self._patience_seconds is not None and now - self._last_beat > self._patience_seconds
        )
        return self.is_alive and is_proven and not is_stuck

    def revive(self) -> None:
        """Start it again if it died."""
        with _looking:
            if self.is_wanted:
                self._revive()

    def _revive(self) -> None:
        if not self.is_alive:
            logger.warning("the thread %s is started again", self.name)
            self._died_at = time.monotonic()
            self._run()

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        self.beat()
        self._thread = threading.Thread(target=self._safely, name=self.name, daemon=True)
        self._thread.start()

    def _safely(self) -> None:
        try:
            self._target()
        except BaseException:  # logged here once, in our log's form; the thread ends all the same
            logger.critical("the thread %s died", self.name, exc_info=True)
        else:
            self.end()  # only a thread whose owner wants it to returns


def look() -> list[str]:
    """Start again what died; what is not well, in words."""
    with _looking:
        wanted = sorted(_started, key=lambda loop: loop.name)
    for loop in wanted:
        loop.revive()
    return [loop.what for loop in wanted if not loop.is_well()]


def _forget() -> None:
    """A forked child has the objects but not their threads."""
    global _looking
    _started.clear()
    _looking = threading.Lock()


os.register_at_fork(after_in_child=_forget)
