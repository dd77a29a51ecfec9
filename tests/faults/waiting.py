"""Waiting with a deadline. What a trial promises is read from records, never from this clock."""

import time
from collections.abc import Callable


def until(check: Callable[[], object], what: str, seconds: float = 40.0) -> float:
    """Wait until `check()` is true; how many seconds that took. Fails after `seconds`."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() < started + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - started
