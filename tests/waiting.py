"""Wait for what happens elsewhere, with a deadline in place of a sleep.

The deadline only says when a test gives up; what a trial promises is read from records, never from
this clock.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(check: Callable[[], T], what: str = "it", *, seconds: float = 40.0) -> T:
    """The first true answer of `check()`; fails if `what` has not happened after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return answer
