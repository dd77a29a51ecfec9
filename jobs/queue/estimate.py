"""When waiting jobs will probably start: pure, from the time limits of those before them.

As a batch system does it: a job is taken to run as long as it may. Where one that has to end first
has no limit, or somebody else uses the GPU, nothing is said.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from jobs.queue.policy import Asked, Gpus

# When each device is free; None for nobody knows.
Times = dict[str, datetime | None]


class Waiting(NamedTuple):
    """A job in the queue's order and the time that it may take."""

    asked: Asked
    limit: timedelta | None


def estimate(
    waiting: Sequence[Waiting], free_at: Mapping[str, datetime | None], now: datetime
) -> dict[UUID, datetime]:
    """The probable start of each job of which one can be told."""
    times: Times = dict(free_at)
    found: dict[UUID, datetime] = {}
    for one in waiting:
        if _is_hopeless(one.asked.gpus, times):
            continue
        keys = _keys(one.asked.gpus, times)
        start = _start(one.asked, keys, times, now)
        if start is not None:
            found[one.asked.job_id] = start
        ends = start + one.limit if start is not None and one.limit is not None else None
        times |= dict.fromkeys(keys, ends)
    return found


def _is_hopeless(gpus: Gpus, times: Times) -> bool:
    """Whether nothing is known of any device: of a long queue all but the first."""
    return gpus not in (0, ()) and not any(times.values())


def _keys(gpus: Gpus, times: Times) -> list[str]:
    """The devices that it will probably get: of a count, those that are free first."""
    if isinstance(gpus, tuple):
        return [key for key in gpus if key in times]
    known = sorted((at, key) for key, at in times.items() if at is not None)
    unknown = [key for key, at in times.items() if at is None]
    return [*(key for _, key in known), *unknown][:gpus]


def _start(asked: Asked, keys: Sequence[str], times: Times, now: datetime) -> datetime | None:
    wanted = asked.gpus if isinstance(asked.gpus, int) else len(asked.gpus)
    moments = [times[key] for key in keys]
    known = [moment for moment in moments if moment is not None]
    if asked.blocked or len(known) < wanted:
        return None
    return max([now, *known, *filter(None, [asked.not_before])])
