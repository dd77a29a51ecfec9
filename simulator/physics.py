"""How a simulated machine behaves: jobs come and go, cards warm up, counters grow.

Pure state and arithmetic, driven by `advance(machine, seconds)`; no clock, no files. The same seed
and the same steps give the same history.
"""

import math
import random
import uuid
from dataclasses import dataclass, field

from simulator.profiles import GpuModel, Profile

TICKS_PER_SECOND = 100
"""USER_HZ of Linux: the unit of the counters in /proc/stat."""

FIRST_PID = 4_000_000
"""Where the pids of jobs begin that have no real process behind them: no host reaches these."""

_UTILIZATION_LAG_SECONDS = 4.0
_MEMORY_LAG_SECONDS = 3.0
_TEMPERATURE_LAG_SECONDS = 25.0
_MEAN_SECONDS_BETWEEN_JOBS = 45.0

# (process name, user, container image or None, utilisation range, share of memory range, CPU cores)
WORKLOADS: tuple[tuple[str, str, str | None, tuple[int, int], tuple[float, float], float], ...] = (
    ("python3", "alice", "pytorch-train", (82, 99), (0.45, 0.85), 4.0),
    ("/opt/conda/bin/python", "bob", None, (40, 80), (0.2, 0.5), 2.0),
    ("/usr/local/bin/ollama", "ollama", None, (15, 60), (0.15, 0.4), 1.0),
    ("VLLM::EngineCore", "carol", "vllm-server", (30, 95), (0.6, 0.88), 1.5),
    ("./nccl-tests/all_reduce_perf", "dave", None, (60, 99), (0.05, 0.15), 1.0),
)


@dataclass
class Job:
    """A process that uses one GPU (or one MIG slice of it) for a while."""

    pid: int
    name: str
    user: str
    container: str | None
    gpu_index: int
    mig_index: int | None
    target_percent: float
    target_memory_mib: float
    cpu_cores: float
    ends_at: float
    memory_mib: float = 0.0


@dataclass
class Gpu:
    """What moves on one card."""

    phase: float
    temperature_c: float
    utilization_percent: float = 0.0
    power_watts: float = 0.0
    clock_mhz: float = 0.0
    fan_percent: float = 0.0
    is_lost: bool = False


@dataclass
class Counters:
    """Totals since boot of one network interface."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0


@dataclass
class Machine:
    """The whole moving state of one simulated machine."""

    profile: Profile
    seed: int
    rng: random.Random
    boot_id: str
    booted_at: float
    uptime_seconds: float
    next_pid: int
    gpus: list[Gpu]
    networks: dict[str, Counters]
    core_ticks: list[list[float]]
    jobs: list[Job] = field(default_factory=list)
    load_1m: float = 0.1
    load_5m: float = 0.1
    load_15m: float = 0.1
    disk_used_kib: float = 0.0
    sectors_read: float = 1_000_000.0
    sectors_written: float = 2_000_000.0
    idle_ticks: float = 0.0


def create(profile: Profile, seed: int, now: float) -> Machine:
    """A machine that booted a while before `now` (seconds since the epoch)."""
    rng = random.Random(seed)
    uptime = rng.uniform(3_600, 2_000_000)
    machine = Machine(
        profile=profile,
        seed=seed,
        rng=rng,
        boot_id=_random_uuid(rng),
        booted_at=now - uptime,
        uptime_seconds=uptime,
        next_pid=FIRST_PID + rng.randrange(1_000, 90_000),
        gpus=[],
        networks={},
        core_ticks=[],
    )
    _power_on(machine)
    for counters in machine.networks.values():
        counters.rx_bytes = rng.randrange(10**9, 10**12)
        counters.rx_packets = counters.rx_bytes // 900
        counters.tx_bytes = rng.randrange(10**9, 10**12)
        counters.tx_packets = counters.tx_bytes // 900
    for ticks in machine.core_ticks:
        ticks[0] = uptime * TICKS_PER_SECOND * 0.05
        ticks[3] = uptime * TICKS_PER_SECOND * 0.95
    return machine


def reboot(machine: Machine, now: float) -> None:
    """Start again from nothing: another boot id, no jobs, counters at zero."""
    machine.boot_id = _random_uuid(machine.rng)
    machine.booted_at = now
    machine.uptime_seconds = 0.0
    machine.jobs.clear()
    machine.load_1m = machine.load_5m = machine.load_15m = 0.0
    _power_on(machine)


def advance(machine: Machine, seconds: float) -> None:
    """Let `seconds` pass."""
    machine.uptime_seconds += seconds
    _end_jobs(machine)
    _begin_jobs(machine, seconds)
    for job in machine.jobs:
        job.memory_mib = _follow(
            job.memory_mib, job.target_memory_mib, _MEMORY_LAG_SECONDS, seconds
        )
    for index, gpu in enumerate(machine.gpus):
        _advance_gpu(machine, index, gpu, seconds)
    _advance_cpu(machine, seconds)
    _advance_network(machine, seconds)
    _advance_disk(machine, seconds)


def jobs_on(machine: Machine, gpu_index: int) -> list[Job]:
    """The jobs of one GPU, oldest first."""
    return [job for job in machine.jobs if job.gpu_index == gpu_index]


def gpu_memory_used_mib(machine: Machine, gpu_index: int) -> float:
    """Memory that the jobs of one GPU hold."""
    return sum(job.memory_mib for job in jobs_on(machine, gpu_index))


def memory_used_kib(machine: Machine) -> float:
    """Host memory that is not available: the system, the jobs, and the GPU's share if unified."""
    total = machine.profile.memory_total_kib
    used = 0.03 * total + sum(0.004 * total * job.cpu_cores for job in machine.jobs)
    if machine.profile.has_unified_memory:
        used += sum(job.memory_mib for job in machine.jobs) * 1024
    return min(used, 0.97 * total)


def _power_on(machine: Machine) -> None:
    model, profile = machine.profile.gpu, machine.profile
    machine.gpus = [
        _idle_gpu(model, machine.rng) for _ in range(profile.gpu_count if model is not None else 0)
    ]
    machine.networks = {interface.name: Counters() for interface in (*profile.interfaces,)} | {
        "lo": Counters()
    }
    machine.core_ticks = [[0.0, 0.0, 0.0, 0.0, 0.0] for _ in range(profile.cores)]
    machine.idle_ticks = 0.0


def _idle_gpu(model: GpuModel | None, rng: random.Random) -> Gpu:
    assert model is not None
    gpu = Gpu(phase=rng.uniform(0, math.tau), temperature_c=model.idle_temperature_c)
    gpu.power_watts = model.idle_watts
    gpu.clock_mhz = model.idle_clock_mhz
    return gpu


def _random_uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _follow(value: float, target: float, lag_seconds: float, seconds: float) -> float:
    return target + (value - target) * math.exp(-seconds / lag_seconds)


def _end_jobs(machine: Machine) -> None:
    machine.jobs = [job for job in machine.jobs if job.ends_at > machine.uptime_seconds]


def _begin_jobs(machine: Machine, seconds: float) -> None:
    chance = 1 - math.exp(-seconds / _MEAN_SECONDS_BETWEEN_JOBS)
    for gpu_index, mig_index in _places(machine.profile):
        taken = any(
            job.gpu_index == gpu_index and job.mig_index == mig_index for job in machine.jobs
        )
        if not taken and machine.rng.random() < chance:
            machine.jobs.append(_new_job(machine, gpu_index, mig_index))


def _places(profile: Profile) -> list[tuple[int, int | None]]:
    places: list[tuple[int, int | None]] = []
    for gpu_index in range(profile.gpu_count):
        slices = profile.slices(gpu_index)
        places += [(gpu_index, mig_index) for mig_index in range(len(slices))]
        if not slices:
            places.append((gpu_index, None))
    return places


def _new_job(machine: Machine, gpu_index: int, mig_index: int | None) -> Job:
    rng = machine.rng
    name, user, container, busy, share, cores = rng.choice(WORKLOADS)
    machine.next_pid += rng.randrange(1, 40)
    return Job(
        pid=machine.next_pid,
        name=name,
        user=user,
        container=container,
        gpu_index=gpu_index,
        mig_index=mig_index,
        target_percent=rng.uniform(*busy),
        target_memory_mib=rng.uniform(*share) * _memory_of_place(machine, gpu_index, mig_index),
        cpu_cores=min(cores, machine.profile.cores / 2),
        ends_at=machine.uptime_seconds + rng.uniform(60, 300),
    )


def _memory_of_place(machine: Machine, gpu_index: int, mig_index: int | None) -> float:
    if mig_index is not None:
        return machine.profile.slices(gpu_index)[mig_index].memory_total_mib
    assert machine.profile.gpu is not None
    own = machine.profile.gpu.memory_total_mib
    return own if own is not None else machine.profile.memory_total_kib / 1024 * 0.7


def _advance_gpu(machine: Machine, index: int, gpu: Gpu, seconds: float) -> None:
    model = machine.profile.gpu
    assert model is not None
    jobs = jobs_on(machine, index)
    wave = 1 + 0.06 * math.sin(machine.uptime_seconds / 3.7 + gpu.phase)
    target = min(100.0, sum(job.target_percent for job in jobs) * wave)
    gpu.utilization_percent = _follow(
        gpu.utilization_percent, target, _UTILIZATION_LAG_SECONDS, seconds
    )
    load = gpu.utilization_percent / 100
    gpu.power_watts = model.idle_watts + (model.busy_watts - model.idle_watts) * load**0.8
    gpu.clock_mhz = model.busy_clock_mhz if load > 0.02 else model.idle_clock_mhz
    warm = model.idle_temperature_c + (model.busy_temperature_c - model.idle_temperature_c) * load
    gpu.temperature_c = _follow(gpu.temperature_c, warm, _TEMPERATURE_LAG_SECONDS, seconds)
    gpu.fan_percent = max(0.0, min(100.0, (gpu.temperature_c - 40) * 2))


def _advance_cpu(machine: Machine, seconds: float) -> None:
    busy_cores = sum(job.cpu_cores for job in machine.jobs)
    for index, ticks in enumerate(machine.core_ticks):
        # Jobs fill the first cores, so that the cores differ as they do on a real machine.
        share = max(0.0, min(1.0, busy_cores - index))
        share = 0.9 * share + machine.rng.uniform(0.0, 0.04)
        ticks[0] += share * 0.85 * seconds * TICKS_PER_SECOND
        ticks[2] += share * 0.15 * seconds * TICKS_PER_SECOND
        ticks[3] += (1 - share) * seconds * TICKS_PER_SECOND
        machine.idle_ticks += (1 - share) * seconds * TICKS_PER_SECOND
    running = busy_cores + 0.2
    machine.load_1m = _follow(machine.load_1m, running, 60, seconds)
    machine.load_5m = _follow(machine.load_5m, running, 300, seconds)
    machine.load_15m = _follow(machine.load_15m, running, 900, seconds)


def _advance_network(machine: Machine, seconds: float) -> None:
    busy = min(1.0, len(machine.jobs) / max(1, machine.profile.gpu_count))
    for interface in machine.profile.interfaces:
        counters = machine.networks[interface.name]
        wave = 0.5 + 0.5 * math.sin(machine.uptime_seconds / 11.0 + machine.seed)
        moved = interface.busy_bytes_per_second * busy * wave * seconds
        if interface.is_default:
            moved += 20_000 * seconds
        counters.rx_bytes += int(moved)
        counters.tx_bytes += int(moved * 0.4)
        counters.rx_packets += int(moved / 900)
        counters.tx_packets += int(moved * 0.4 / 900)


def _advance_disk(machine: Machine, seconds: float) -> None:
    written_kib = len(machine.jobs) * 900 * seconds
    machine.disk_used_kib = (machine.disk_used_kib + written_kib) % 40_000_000
    machine.sectors_written += written_kib * 2
    machine.sectors_read += written_kib * 5
