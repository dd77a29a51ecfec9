"""What follows a failed or lost session: stop, or try again, and when. Pure."""

import random
from dataclasses import dataclass

from connections.models import Reason

# A person has to act first; trying again would only lock accounts or hide the cause.
STOPS_AT_ONCE = frozenset(
    {
        Reason.HOST_KEY_UNKNOWN,
        Reason.HOST_KEY_CHANGED,
        Reason.REFUSED_ADDRESS,
        Reason.KEY_UNUSABLE,
    }
)
# Tried this often in a row before it stops.
TRIES: dict[str, int] = {Reason.AUTH_FAILED: 3, Reason.UNUSABLE_SHELL: 3}


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `seconds`; None means not before somebody changes or asks for it."""

    seconds: float | None


def after_failure(
    reason: str, failures: int, limits: tuple[float, float], jitter: float | None = None
) -> Retry:
    """What to do after the `failures`-th failure in a row (1 is the first), with this `reason`.

    The wait doubles between the two `limits` (seconds); `jitter` from 0 to 1 takes away up to
    half of it, so that many machines behind one broken switch do not come back at once.
    """
    if reason in STOPS_AT_ONCE or failures >= TRIES.get(reason, failures + 1):
        return Retry(None)
    shortest, longest = limits
    if jitter is None:
        jitter = random.random()  # noqa: S311 (spreads load, guards nothing)
    wait = min(longest, shortest * 2.0 ** min(failures - 1, 16))
    return Retry(wait * (1.0 - jitter / 2.0))
