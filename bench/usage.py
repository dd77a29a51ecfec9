"""What processes cost, as the kernel counts it: CPU time, memory, threads."""

import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

# CPUCLOCK_SCHED of the kernel's include/linux/posix-timers_types.h.
_SCHEDULER_CLOCK = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process. `pss_bytes` shares what several have in common; None outside Linux."""

    rss_bytes: int
    pss_bytes: int | None
    threads: int


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, with its threads that have ended.

    Linux has a clock for that with nanoseconds (clock_getcpuclockid(3)); elsewhere it comes in
    steps of 10 ms.
    """
    if platform.system() == "Linux":
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def tree_cpu_seconds(pid: int) -> float:
    """The same with all that it started, living or gone."""
    root = psutil.Process(pid)
    return sum(_with_reaped([root, *root.children(recursive=True)]))


def _with_reaped(processes: Iterable[psutil.Process]) -> Iterable[float]:
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        yield times.user + times.system + times.children_user + times.children_system


def memory(pid: int) -> Memory:
    process = psutil.Process(pid)
    return Memory(process.memory_info().rss, _pss_bytes(pid), process.num_threads())


def _pss_bytes(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    kib = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(kib[0]) * 1024 if kib else None
