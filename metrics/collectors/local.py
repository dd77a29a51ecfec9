"""The site's own machine, read by psutil and NVML instead of a shell: the same `Sample`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import psutil

from metrics.collectors.linux import proc
from metrics.collectors.linux.network import preferred
from metrics.collectors.nvidia import nvml
from metrics.collectors.nvidia.values import gpu_of
from metrics.collectors.readings import (
    Battery,
    Cpu,
    Disk,
    Gpu,
    Health,
    Memory,
    Network,
    Process,
    Sample,
)

# Disks change slowly, and a dead network file system would hold up every sample.
SLOW_EVERY_SAMPLES = 5
_PRESSURE = Path("/proc/pressure/memory")
_HARDWARE = Path("/sys/class/net")
_ROUTES = Path("/proc/net/route")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Counters:
    monotonic: float
    networks: dict[str, tuple[int, int]]


class LocalCollector:
    """Remembers what rates need; one per machine, used by one thread."""

    def __init__(self) -> None:
        self._before: _Counters | None = None
        self._disks: tuple[Disk, ...] = ()
        self._disks_health: list[Health] = []
        self._count = 0
        psutil.cpu_percent()  # its first answer is about no time at all

    def sample(self, recorded_at: datetime, monotonic: float) -> Sample:
        """The machine as it is now. A source that fails is told in `health`; the rest stays."""
        health: list[Health] = []
        memory = _asked("proc", _memory, Memory(), health)
        no_gpus: tuple[tuple[Gpu, ...], tuple[Process, ...]] = ((), ())
        gpus, processes = _asked("nvidia_smi", lambda: _gpus(memory), no_gpus, health)
        if self._count % SLOW_EVERY_SAMPLES == 0:
            self._disks_health = []
            self._disks = _asked("disks", _disks, (), self._disks_health)
        health += self._disks_health
        self._count += 1
        return Sample(
            recorded_at=recorded_at,
            gpus=gpus,
            processes=processes,
            cpu=_cpu(has_past=self._count > 1),
            memory=memory,
            disks=self._disks,
            networks=_asked("network", lambda: self._networks(monotonic), (), health),
            battery=_asked("battery", battery, None, health),
            health=tuple(health),
        )

    def _networks(self, monotonic: float) -> tuple[Network, ...]:
        counters = psutil.net_io_counters(pernic=True, nowrap=False)
        before, seconds = {}, 0.0
        if self._before is not None:
            before, seconds = self._before.networks, monotonic - self._before.monotonic
        now = {name: (c.bytes_recv, c.bytes_sent) for name, c in counters.items()}
        self._before = _Counters(monotonic, now)
        physical, default = _hardware(), _default_interface()
        return tuple(
            Network(
                name,
                c.bytes_recv,
                c.bytes_sent,
                c.packets_recv,
                c.packets_sent,
                _rate(before.get(name), now[name], 0, seconds),
                _rate(before.get(name), now[name], 1, seconds),
                None if physical is None else name in physical,
                None if default is None else name == default,
            )
            for name, c in counters.items()
        )


def battery() -> Battery | None:
    """The battery, `None` where there is none."""
    sensors = getattr(psutil, "sensors_battery", None)
    found = sensors() if sensors is not None else None
    if found is None:
        return None
    left = found.secsleft if found.secsleft and found.secsleft > 0 else None
    return Battery(float(found.percent), found.power_plugged, None if found.power_plugged else left)


def frequency_mhz() -> float | None:
    """The mean clock of the cores."""
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    current = getattr(found, "current", None)  # psutil answers None where nothing is told
    return round(current, 1) if current else None


def _asked(source: str, ask: Callable[[], Value], otherwise: Value, health: list[Health]) -> Value:
    """What `ask` answers, and a line of health; `otherwise` when it fails."""
    try:
        answer = ask()
    except nvml.Unavailable as error:
        health.append(Health(source, False, str(error)))
        return otherwise
    except (OSError, RuntimeError, psutil.Error) as error:
        health.append(Health(source, False, str(error)[:200]))
        return otherwise
    health.append(Health(source, True))
    return answer


def _cpu(*, has_past: bool) -> Cpu:
    busy = psutil.cpu_percent()
    return Cpu(
        utilization_percent=round(busy, 1) if has_past else None,
        cores=psutil.cpu_count(),
        frequency_mhz=frequency_mhz(),
        load_1m=round(psutil.getloadavg()[0], 2),
    )


def _memory() -> Memory:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(
        total_bytes=memory.total,
        used_bytes=memory.total - memory.available,
        available_bytes=memory.available,
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        pressure_percent=_pressure(),
    )


def _pressure() -> float | None:
    try:
        return proc.pressure_percent(_PRESSURE.read_text(encoding="ascii"))
    except OSError:
        return None  # a kernel without pressure information


def _disks() -> tuple[Disk, ...]:
    found: dict[str, Disk] = {}
    for part in psutil.disk_partitions(all=False):
        if part.device in found or not Path(part.mountpoint).is_dir():
            continue
        usage = psutil.disk_usage(part.mountpoint)
        found[part.device] = Disk(part.mountpoint, usage.total, usage.used)
    if not any(disk.mount == "/" for disk in found.values()):
        usage = psutil.disk_usage("/")
        return (Disk("/", usage.total, usage.used), *found.values())
    return tuple(found.values())


def _gpus(memory: Memory) -> tuple[tuple[Gpu, ...], tuple[Process, ...]]:
    nvml.open_library()
    gpus: list[Gpu] = []
    processes: list[Process] = []
    for index, handle in enumerate(nvml.handles()):
        told = nvml.reading(index, handle)
        gpus.append(gpu_of(told, memory, nvml.slices(handle)))
        for pid, uuid, used in nvml.processes(handle, told.uuid):
            processes.append(nvml.process(pid, uuid, used, _user(pid)))
    return tuple(gpus), tuple(processes)


def _user(pid: int) -> str | None:
    try:
        return psutil.Process(pid).username()
    except psutil.Error:
        return None


def _hardware() -> frozenset[str] | None:
    """The interfaces with a device behind them; `None` where the system does not say."""
    if not _HARDWARE.is_dir():
        return None
    return frozenset(path.parent.name for path in _HARDWARE.glob("*/device")) or None


def _default_interface() -> str | None:
    try:
        rows = [line.split() for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return None  # not Linux
    every = [row for row in rows if len(row) >= 8 and row[1] == row[7] == "00000000"]
    return preferred([word for row in every for word in (row[0], row[6])])


def _rate(
    before: tuple[int, int] | None, now: tuple[int, int], way: int, seconds: float
) -> float | None:
    if before is None or seconds <= 0 or now[way] < before[way]:
        return None
    return round((now[way] - before[way]) / seconds, 1)
