"""The GPUs of the site's own machine, through NVIDIA's management library (nvidia-ml-py).

Each value is asked for by itself: what a GPU does not support is `None`, whatever else it tells.
"""

from collections.abc import Callable
from typing import Any

import pynvml

from metrics.collectors.nvidia import throttle
from metrics.collectors.nvidia.values import Reading
from metrics.collectors.readings import MigDevice, Process

# What the library answers where a value does not exist, as opposed to cannot be read now.
_UNSUPPORTED = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_INVALID_ARGUMENT)


class Unavailable(Exception):
    """No GPU can be read; the text is the library's own."""


def open_library() -> None:
    """Load the driver's library, or raise `Unavailable`; free to call again."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound as error:
        raise Unavailable("not found") from error
    except pynvml.NVMLError as error:
        raise Unavailable(str(error)) from error


def handles() -> list[Any]:
    """One handle for each GPU, in the order of `nvidia-smi`."""
    try:
        count = pynvml.nvmlDeviceGetCount()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    except pynvml.NVMLError as error:
        raise Unavailable(str(error)) from error


def reading(index: int, handle: Any) -> Reading:
    """Everything that is shown of one GPU."""
    memory = _or_none(pynvml.nvmlDeviceGetMemoryInfo, handle)
    power = _or_none(pynvml.nvmlDeviceGetPowerUsage, handle)
    limit = _or_none(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    utilization = _or_none(pynvml.nvmlDeviceGetUtilizationRates, handle)
    mode = _or_none(pynvml.nvmlDeviceGetMigMode, handle)
    reasons = _or_none(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return Reading(
        index=index,
        uuid=_text(_or_none(pynvml.nvmlDeviceGetUUID, handle)),
        name=_text(_or_none(pynvml.nvmlDeviceGetName, handle)),
        utilization_percent=None if utilization is None else float(utilization.gpu),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
        memory_unsupported=memory is None and _has_no_memory(handle),
        temperature_c=_or_none(pynvml.nvmlDeviceGetTemperature, handle, 0),
        power_watts=None if power is None else power / 1000,  # the library counts milliwatts
        power_limit_watts=None if limit is None else limit / 1000,
        fan_percent=_or_none(pynvml.nvmlDeviceGetFanSpeed, handle),
        sm_clock_mhz=_or_none(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
        memory_clock_mhz=_or_none(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_MEM),
        throttle_reasons=None if reasons is None else throttle.from_mask(int(reasons)),
        mig_mode=None if mode is None else ("Enabled" if mode[0] else "Disabled"),
    )


def memory_utilization(handle: Any) -> float | None:
    """The share of time in which the GPU's memory was read or written, in percent."""
    utilization = _or_none(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return None if utilization is None else float(utilization.memory)


def slices(handle: Any) -> tuple[MigDevice, ...]:
    """The MIG slices of one GPU; none where MIG is off."""
    count = _or_none(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found: list[MigDevice] = []
    for position in range(count):
        device = _or_none(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, position)
        if device is not None:
            found.append(_slice(len(found), device))
    return tuple(found)


def processes(handle: Any, uuid: str | None) -> list[tuple[int, str | None, int | None]]:
    """`(pid, uuid, memory in bytes)` of what computes on one GPU."""
    running = _or_none(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    return [(one.pid, uuid, one.usedGpuMemory) for one in running]


def process_name(pid: int) -> str | None:
    """The program, as nvidia-smi reports it."""
    return _text(_or_none(pynvml.nvmlSystemGetProcessName, pid))


def process(pid: int, uuid: str | None, used: int | None, user: str | None) -> Process:
    return Process(uuid, pid, process_name(pid), user, None, used)


def _slice(index: int, device: Any) -> MigDevice:
    memory = _or_none(pynvml.nvmlDeviceGetMemoryInfo, device)
    name = _text(_or_none(pynvml.nvmlDeviceGetName, device)) or ""
    return MigDevice(
        index=index,
        uuid=_text(_or_none(pynvml.nvmlDeviceGetUUID, device)),
        profile=name.rpartition("MIG ")[2] or None,
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
    )


def _has_no_memory(handle: Any) -> bool:
    try:
        pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError as error:
        return error.value in _UNSUPPORTED
    return False


def _or_none(ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return ask(*arguments)
    except pynvml.NVMLError:
        return None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)
