"""How much may come at once and how fast it comes back: a bucket that refills while nobody asks."""

import time


class Allowance:
    """`per_second` come back, up to `at_once`."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second, self._at_once = per_second, at_once
        self._left, self._refilled = at_once, time.monotonic()

    def take(self) -> bool:
        """Use one up; False when there is none, which does not make the next one come later."""
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._refilled) * self._per_second)
        self._refilled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
