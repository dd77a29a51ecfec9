"""What a job's GPUs used, as an integral over the machine's samples. Pure.

Between two samples a value is taken as the straight line between them; at the ends of the job the
nearest sample holds. Where samples are further apart than `REACH_INTERVALS` nothing is added, and
the seconds that were told say how much of the job is in the sums.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

# A sample that is lost costs nothing; an absence is not made up.
REACH_INTERVALS = 3.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The granted GPUs in one sample: watts together, percent on average; None: not told."""

    at: datetime
    watts: float | None
    percent: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums up to `last`. Joules and percent × seconds, each with the seconds it covers."""

    last: Reading | None = None
    joules: float = 0.0
    power_seconds: float = 0.0
    busy: float = 0.0
    percent_seconds: float = 0.0

    @property
    def energy_wh(self) -> float | None:
        return self.joules / 3600 if self.power_seconds else None

    @property
    def mean_percent(self) -> float | None:
        return self.busy / self.percent_seconds if self.percent_seconds else None


def whole_gpus(granted: Sequence[str] | None) -> list[int]:
    """The indices among the granted devices; a MIG slice has no power or utilisation of its own."""
    return [int(key) for key in granted or () if key.isascii() and key.isdigit()]


def reading(sample: Mapping[str, Any], granted: Sequence[str]) -> Reading:
    """What a sample, as the API shows it, says of the granted devices."""
    at = datetime.fromisoformat(sample["recorded_at"])
    wanted = whole_gpus(granted)
    gpus = [gpu for gpu in sample["gpus"] if gpu["index"] in wanted]
    if not gpus or len(gpus) < len(granted):
        return Reading(at, None, None)
    watts = _all([gpu["power_watts"] for gpu in gpus])
    percent = _all([gpu["utilization_percent"] for gpu in gpus])
    mean = None if percent is None else sum(percent) / len(percent)
    return Reading(at, None if watts is None else sum(watts), mean)


def add(
    tally: Tally,
    readings: Iterable[Reading],
    start: datetime,
    end: datetime | None,
    interval: float,
) -> Tally:
    """The sums with those readings that come after the last one, as far as the job ran."""
    for one in readings:
        is_new = tally.last is None or one.at > tally.last.at
        if one.at < start or not is_new or (end is not None and one.at > end):
            continue
        # Until the first sample the value is that sample's.
        tally = _join(tally, tally.last or replace(one, at=start), one, interval)
    return tally


def close(tally: Tally, end: datetime, interval: float) -> Tally:
    """The sums up to the job's end, to which the last value holds."""
    if tally.last is None or tally.last.at >= end:
        return tally
    return _join(tally, tally.last, replace(tally.last, at=end), interval)


def _join(tally: Tally, before: Reading, after: Reading, interval: float) -> Tally:
    seconds = (after.at - before.at).total_seconds()
    if seconds > REACH_INTERVALS * interval:
        return replace(tally, last=after)
    joules, power_seconds = _area(before.watts, after.watts, seconds)
    busy, percent_seconds = _area(before.percent, after.percent, seconds)
    return Tally(
        after,
        tally.joules + joules,
        tally.power_seconds + power_seconds,
        tally.busy + busy,
        tally.percent_seconds + percent_seconds,
    )


def _area(before: float | None, after: float | None, seconds: float) -> tuple[float, float]:
    if before is None or after is None:
        return 0.0, 0.0
    return 0.5 * (before + after) * seconds, seconds


def _all(values: Sequence[float | None]) -> list[float] | None:
    told = [value for value in values if value is not None]
    return told if len(told) == len(values) else None
