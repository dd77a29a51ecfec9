"""The metrics that are kept: name, unit, how to read one from a sample. All else follows from here.

Two tables: what a machine reports once, and what each of its GPUs reports. The names are those of
the exports, the charts and the alert rules. The value of one window is the mean, the least and the
greatest of its readings. Over several GPUs utilisation is the mean, memory the sum used over the
sum of totals, temperature the greatest, power the sum; a sum is told only if every GPU that
reports the value at all is in it.

A new metric is a line here and a migration that adds its three columns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from metrics.collectors.readings import Gpu, Network, Sample

Number = float | int | None
Unit = Literal["percent", "celsius", "watts", "bytes", "bytes_per_second", "mhz", "share", "load"]

# Suffixes of the columns, in this order; also those of the exports.
STATISTICS = ("avg", "min", "max")


@dataclass(frozen=True, slots=True)
class MachineMetric:
    name: str
    unit: Unit
    read: Callable[[Sample], Number]


@dataclass(frozen=True, slots=True)
class GpuMetric:
    name: str
    unit: Unit
    read: Callable[[Gpu], Number]


def share(used: Number, total: Number) -> Number:
    """Percent of the total; None without both, or when the total is 0."""
    if used is None or not total:
        return None
    return 100.0 * used / total


def _known(values: Iterable[Number]) -> list[float | int]:
    return [value for value in values if value is not None]


def _sum(values: Iterable[Number]) -> Number:
    known = _known(values)
    return sum(known) if known else None


def _gpu_percent(sample: Sample) -> Number:
    known = _known([gpu.utilization_percent for gpu in sample.gpus])
    return sum(known) / len(known) if known else None


def _gpu_memory_percent(sample: Sample) -> Number:
    known = [
        (gpu.memory_used_bytes, gpu.memory_total_bytes)
        for gpu in sample.gpus
        if gpu.memory_used_bytes is not None and gpu.memory_total_bytes
    ]
    if not known:
        return None
    return share(sum(used for used, _ in known), sum(total for _, total in known))


def _gpu_temperature(sample: Sample) -> Number:
    return max(_known([gpu.temperature_c for gpu in sample.gpus]), default=None)


def _gpu_power(sample: Sample) -> Number:
    return _sum([gpu.power_watts for gpu in sample.gpus])


def _root_disk(sample: Sample) -> Number:
    for disk in sample.disks:
        if disk.mount == "/":
            return share(disk.used_bytes, disk.total_bytes)
    return None


def _received(sample: Sample) -> Number:
    return _traffic(sample, lambda network: network.rx_bytes_per_second)


def _sent(sample: Sample) -> Number:
    return _traffic(sample, lambda network: network.tx_bytes_per_second)


def _traffic(sample: Sample, rate: Callable[[Network], Number]) -> Number:
    return _sum([rate(network) for network in sample.physical_networks()])


def _throttled(gpu: Gpu) -> Number:
    if gpu.throttle_reasons is None:
        return None
    return 1 if gpu.throttle_reasons else 0


MACHINE_METRICS: Sequence[MachineMetric] = (
    MachineMetric("cpu_percent", "percent", lambda s: s.cpu.utilization_percent),
    MachineMetric(
        "memory_percent", "percent", lambda s: share(s.memory.used_bytes, s.memory.total_bytes)
    ),
    MachineMetric("disk_percent", "percent", _root_disk),
    MachineMetric("gpu_percent", "percent", _gpu_percent),
    MachineMetric("gpu_memory_percent", "percent", _gpu_memory_percent),
    MachineMetric("gpu_temperature_c", "celsius", _gpu_temperature),
    MachineMetric("gpu_power_watts", "watts", _gpu_power),
    MachineMetric("network_rx_bytes_per_second", "bytes_per_second", _received),
    MachineMetric("network_tx_bytes_per_second", "bytes_per_second", _sent),
    MachineMetric(
        "memory_available_percent",
        "percent",
        lambda s: share(s.memory.available_bytes, s.memory.total_bytes),
    ),
    MachineMetric("load_1m", "load", lambda s: s.cpu.load_1m),
    MachineMetric("memory_pressure_percent", "percent", lambda s: s.memory.pressure_percent),
)

GPU_METRICS: Sequence[GpuMetric] = (
    GpuMetric("gpu_percent", "percent", lambda g: g.utilization_percent),
    GpuMetric(
        "gpu_memory_percent", "percent", lambda g: share(g.memory_used_bytes, g.memory_total_bytes)
    ),
    GpuMetric("gpu_memory_used_bytes", "bytes", lambda g: g.memory_used_bytes),
    GpuMetric("gpu_temperature_c", "celsius", lambda g: g.temperature_c),
    GpuMetric("gpu_power_watts", "watts", lambda g: g.power_watts),
    GpuMetric("gpu_sm_clock_mhz", "mhz", lambda g: g.sm_clock_mhz),
    # 1 while the driver holds the clocks back, so that the mean is the share of the window.
    GpuMetric("gpu_throttled", "share", _throttled),
)

METRICS: Sequence[MachineMetric | GpuMetric] = (*MACHINE_METRICS, *GPU_METRICS)


def columns(metrics: Iterable[MachineMetric | GpuMetric]) -> tuple[str, ...]:
    """The columns of a raw table, in the order of the rows that `window.aggregate` makes."""
    return tuple(f"{metric.name}_{statistic}" for metric in metrics for statistic in STATISTICS)


def counted_columns(metrics: Iterable[MachineMetric | GpuMetric]) -> tuple[str, ...]:
    """The columns of an hourly or daily table: the statistics and how many readings they are of."""
    return tuple(f"{metric.name}_{part}" for metric in metrics for part in (*STATISTICS, "count"))
