"""The web process's own host in the shape of `GET /api/metrics` and `/ws/metrics/`.

Keys are in camel case and bytes are bytes; a value that the machine does not report is `None`.
"""

import time
from datetime import UTC, datetime
from typing import Any

import psutil

from metrics.collectors import local
from metrics.collectors.nvidia import nvml
from metrics.collectors.nvidia.values import Reading, gpu_of
from metrics.collectors.readings import Gpu, Memory, iso_utc

# Two callers a few milliseconds apart share one answer: psutil measures since the last question.
_SHORTEST_SECONDS = 0.5
_FIRST_SECONDS = 0.1
_busy: tuple[float, float] | None = None  # (monotonic time of the question, percent)


def this_machine() -> dict[str, Any]:
    """One reading; costs about a millisecond, more with GPUs. The first takes 0.1 s."""
    memory = psutil.virtual_memory()
    swap = psutil.swap_memory()
    gpus = _gpus(Memory(total_bytes=memory.total, used_bytes=memory.total - memory.available))
    return {
        "timestamp": iso_utc(datetime.now(UTC)),
        "cpu": _cpu(),
        "memory": {
            "total": memory.total,
            "used": memory.total - memory.available,
            "available": memory.available,
            "percent": _percent(memory.total - memory.available, memory.total),
            "swapTotal": swap.total,
            "swapUsed": swap.used,
            "swapPercent": _percent(swap.used, swap.total),
        },
        "gpu": gpus[0] if gpus else None,
        "gpus": gpus,
        "battery": _battery(),
    }


def _cpu() -> dict[str, Any]:
    return {
        "utilization": round(_busy_percent(), 1),
        "cores": psutil.cpu_count(),
        "frequency": local.frequency_mhz(),
        "maxFrequency": _max_frequency(),
    }


def _busy_percent() -> float:
    global _busy
    now = time.monotonic()
    if _busy is None:
        _busy = (now, psutil.cpu_percent(interval=_FIRST_SECONDS))
    elif now - _busy[0] >= _SHORTEST_SECONDS:
        _busy = (now, psutil.cpu_percent())
    return _busy[1]


def _max_frequency() -> float | None:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    highest = getattr(found, "max", None)
    return round(highest, 1) if highest else None


def _gpus(memory: Memory) -> list[dict[str, Any]]:
    try:
        nvml.open_library()
        handles = nvml.handles()
    except nvml.Unavailable:
        return []
    shown = []
    for index, handle in enumerate(handles):
        told = nvml.reading(index, handle)
        gpu = gpu_of(told, memory, ())
        shown.append(_shown(gpu, told, nvml.memory_utilization(handle)))
    return shown


def _shown(gpu: Gpu, told: Reading, memory_utilization: float | None) -> dict[str, Any]:
    total, used = gpu.memory_total_bytes, gpu.memory_used_bytes
    return {
        "model": gpu.name,
        "vendor": "NVIDIA",
        "memoryTotal": total,
        "memoryUsed": used,
        "memoryFree": None if total is None or used is None else total - used,
        "memoryPercent": _percent(used, total),
        "utilization": gpu.utilization_percent,
        "memoryUtilization": memory_utilization,
        "temperature": gpu.temperature_c,
        "powerDraw": gpu.power_watts,
        "graphicsClock": gpu.sm_clock_mhz,
        "memoryClock": told.memory_clock_mhz,
    }


def _battery() -> dict[str, Any] | None:
    found = local.battery()
    if found is None:
        return None
    return {
        "level": found.level_percent,
        "charging": found.charging,
        "timeRemaining": found.seconds_left,
    }


def _percent(part: int | None, whole: int | None) -> float | None:
    if part is None or not whole:
        return None
    return round(100 * part / whole, 1)
