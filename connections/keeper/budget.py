"""What one machine may cost its keeper: a share of a processor, and a burst beyond it. Pure.

A keeper reads all its machines on one thread. A machine that sends without end, or text that takes
long to read, would take the time of all others; so its time is counted, and beyond its share it is
dropped alone.
"""

import time

# Of one processor; an ordinary machine takes a thousandth.
SHARE = 0.1
# Seconds of CPU at once, such as for the long first outputs of a machine's tools.
BURST_SECONDS = 1.0


class CpuBudget:
    """A vessel that empties by `SHARE` a second, and is over when it holds `BURST_SECONDS`."""

    def __init__(self, now: float | None = None) -> None:
        self._level = 0.0
        self._at = time.monotonic() if now is None else now

    def spend(self, seconds: float, now: float | None = None) -> bool:
        """Count so many seconds of CPU; whether the machine may go on."""
        at = time.monotonic() if now is None else now
        self._level = max(0.0, self._level - SHARE * (at - self._at)) + seconds
        self._at = at
        return self._level <= BURST_SECONDS
