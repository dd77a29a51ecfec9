"""Machines to look at: samples as a keeper would record them, with every state a page must show."""

import math
from datetime import UTC, datetime

from metrics.collectors.readings import (
    Battery,
    Cpu,
    Disk,
    Gpu,
    Health,
    Memory,
    MigDevice,
    Network,
    Process,
    Sample,
)

GIB = 1024**3


def spark(step: int = 0, *, now: datetime | None = None) -> Sample:
    """A DGX Spark: one GPU with unified memory and without power limit, fan and memory clock."""
    load = 55 + 40 * math.sin(step / 6)
    used = round((70 + 12 * math.sin(step / 20)) * GIB)
    gpu = Gpu(
        index=0,
        uuid="GPU-5afe0000-0000-0000-0000-000000000010",
        name="NVIDIA GB10",
        utilization_percent=round(load),
        memory_used_bytes=used,
        memory_total_bytes=round(119.7 * GIB),
        memory_kind="unified",
        temperature_c=round(48 + load / 5),
        power_watts=round(6 + load / 2.2, 1),
        sm_clock_mhz=2418,
        throttle_reasons=(),
    )
    return Sample(
        recorded_at=now or datetime.now(UTC),
        gpus=(gpu,),
        processes=(
            Process(gpu.uuid, 41233, "python3 train.py", "mara", None, 40 * GIB),
            Process(gpu.uuid, 2210, "ollama", "ollama", "ollama-1", 21 * GIB),
        ),
        cpu=Cpu(round(20 + load / 4, 1), 20, 3900, 4.25),
        memory=Memory(round(119.7 * GIB), used, round(119.7 * GIB) - used, 16 * GIB, GIB, 2.4),
        disks=(Disk("/", 3700 * 10**9, 1410 * 10**9),),
        networks=(
            Network(
                "enP7s7",
                *(91 * GIB + step * 10**6, 12 * GIB + step * 10**5, 1, 1, 1.2e6, 3.4e5),
                is_physical=True,
                is_default=True,
            ),
            Network("wlP9s9", 2 * GIB, GIB, 1, 1, 0.0, 0.0, is_physical=True, is_default=False),
        ),
        health=(
            Health("proc", ok=True),
            Health("nvidia_smi", ok=True),
            Health("docker", ok=False, detail="permission denied while trying to connect"),
            Health("rocm", ok=False, detail="not found"),
        ),
    )


def server(step: int = 0, *, now: datetime | None = None) -> Sample:
    """Eight large GPUs: MIG on the first, throttling on the third, the last one silent."""
    gpus = tuple(_large(index, step) for index in range(7))
    lost = Gpu(index=7, uuid="GPU-07", name="NVIDIA H200")
    return Sample(
        recorded_at=now or datetime.now(UTC),
        gpus=(*gpus, lost),
        processes=tuple(
            Process(f"GPU-0{index}", 9000 + index, "torchrun", user, None, (90 + index) * GIB)
            for index, user in enumerate(("ada", "ada", "grace", "grace", "lin", "lin", "lin"))
        ),
        cpu=Cpu(37.0, 224, 3100, 61.5),
        memory=Memory(2015 * GIB, 840 * GIB, 1175 * GIB, 0, 0, 0.0),
        disks=(Disk("/", 1900 * 10**9, 610 * 10**9), Disk("/data", 61 * 10**12, 56 * 10**12)),
        networks=(
            Network(
                "eno1",
                *(5 * GIB, 7 * GIB, 1, 1, 4.2e8, 1.1e8),
                is_physical=True,
                is_default=True,
            ),
        ),
        health=(Health("proc", ok=True), Health("nvidia_smi", ok=True)),
    )


def _large(index: int, step: int) -> Gpu:
    load = 50 + 50 * math.sin((step + 9 * index) / 8)
    slices = (
        MigDevice(0, "MIG-00", "3g.71gb", 20 * GIB, 69 * GIB),
        MigDevice(1, "MIG-01", "4g.71gb", 60 * GIB, 69 * GIB),
    )
    return Gpu(
        index=index,
        uuid=f"GPU-0{index}",
        name="NVIDIA H200",
        utilization_percent=round(load),
        memory_used_bytes=(90 + index) * GIB,
        memory_total_bytes=141 * GIB,
        memory_kind="dedicated",
        temperature_c=42 + 6 * index,
        power_watts=round(120 + 5.5 * load, 1),
        power_limit_watts=700,
        sm_clock_mhz=1980,
        memory_clock_mhz=3201,
        throttle_reasons=("sw_power_cap", "hw_thermal_slowdown") if index == 2 else (),
        mig=slices if index == 0 else (),
    )


def laptop(step: int = 0, *, now: datetime | None = None) -> Sample:
    """A machine without any GPU, on battery."""
    return Sample(
        recorded_at=now or datetime.now(UTC),
        cpu=Cpu(12.0, 8, 2400, 0.6),
        memory=Memory(32 * GIB, 9 * GIB, 23 * GIB, 0, 0, None),
        disks=(Disk("/", 512 * 10**9, 300 * 10**9),),
        battery=Battery(64, charging=False, seconds_left=9000),
        health=(
            Health("proc", ok=True),
            Health("nvidia_smi", ok=False, detail="not found"),
        ),
    )
