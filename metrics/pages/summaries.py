"""One machine in one line: what the overview shows of a sample, and the sums over a fleet.

The rules are those of the range exports: utilisation is the mean over the GPUs, memory the sum used
over the sum of totals, temperature the highest, power the sum. `static/js/summary.js` follows them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.formats import share


@dataclass(frozen=True, slots=True)
class Summary:
    """Each value is None where no GPU of the machine reports it."""

    recorded_at: str | None = None
    gpu_names: tuple[str, ...] = ()
    gpu_percents: tuple[float | None, ...] = ()
    gpu_percent: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    temperature_c: float | None = None
    power_watts: float | None = None
    users: tuple[str, ...] = ()

    @property
    def memory_percent(self) -> float | None:
        return share(self.memory_used_bytes, self.memory_total_bytes)


def summarise(sample: Mapping[str, Any] | None) -> Summary:
    """The line of one machine; an empty one before its first sample."""
    if sample is None:
        return Summary()
    gpus = sample["gpus"]
    percents = tuple(gpu["utilization_percent"] for gpu in gpus)
    pairs = [gpu for gpu in gpus if None not in (_used(gpu), gpu["memory_total_bytes"])]
    return Summary(
        recorded_at=sample["recorded_at"],
        gpu_names=tuple(gpu["name"] or "GPU" for gpu in gpus),
        gpu_percents=percents,
        gpu_percent=_mean(percents),
        memory_used_bytes=_total(_used(gpu) for gpu in pairs),
        memory_total_bytes=_total(gpu["memory_total_bytes"] for gpu in pairs),
        temperature_c=max(_known(gpu["temperature_c"] for gpu in gpus), default=None),
        power_watts=_total(gpu["power_watts"] for gpu in gpus),
        users=tuple(sorted({item["user"] for item in sample["processes"] if item["user"]})),
    )


@dataclass(frozen=True, slots=True)
class FleetTotals:
    """Sums over the machines that are connected and have a sample."""

    gpus: int
    busy_gpus: int
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    power_watts: float | None


def totals(summaries: Iterable[Summary]) -> FleetTotals:
    """A GPU is busy from 5 % on, below which drivers report idle noise."""
    lines = list(summaries)
    percents = [percent for line in lines for percent in line.gpu_percents]
    return FleetTotals(
        gpus=len(percents),
        busy_gpus=sum(1 for percent in percents if percent is not None and percent >= 5),
        memory_used_bytes=_total(line.memory_used_bytes for line in lines),
        memory_total_bytes=_total(line.memory_total_bytes for line in lines),
        power_watts=_total(line.power_watts for line in lines),
    )


def _used(gpu: Mapping[str, Any]) -> float | None:
    used: float | None = gpu["memory_used_bytes"]
    return used


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _total(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return sum(known) if known else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return sum(known) / len(known) if known else None
