"""End what no longer goes on, however long it might have been allowed to take."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

LOOK_SECONDS = 0.5


class Stillness:
    """In its block, calls `end` once what `state` tells has been the same for `seconds`.

    `state` may be set later, when there is something to look at; `is_over` says that `end` was
    called. None in place of seconds looks at nothing.
    """

    def __init__(self, seconds: float | None, end: Callable[[], object]) -> None:
        self.state: Callable[[], object] = lambda: None
        self.is_over = False
        self.seconds = seconds
        self._end = end
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if self.seconds is not None:
            threading.Thread(
                target=self._look, args=(self.seconds,), name="stillness", daemon=True
            ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def _look(self, seconds: float) -> None:
        last, since = self.state(), time.monotonic()
        while not self._left.wait(min(LOOK_SECONDS, seconds / 4)):
            if (now := self.state()) != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > seconds:
                self.is_over = True
                self._end()
                return
