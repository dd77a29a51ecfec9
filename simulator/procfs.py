"""The files of /proc that a simulated machine shows, as text.

Pure: state in, text out. Formats as in proc(5).
"""

import hashlib

from simulator.physics import TICKS_PER_SECOND, Machine, memory_used_kib

_NET_DEV_HEADER = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast"
    "|bytes    packets errs drop fifo colls carrier compressed\n"
)


def render(machine: Machine) -> dict[str, str]:
    """Every moving file, by its path below the root."""
    files = {
        "proc/stat": _stat(machine),
        "proc/loadavg": _loadavg(machine),
        "proc/meminfo": _meminfo(machine),
        "proc/uptime": _uptime(machine),
        "proc/net/dev": _net_dev(machine),
        "proc/diskstats": _diskstats(machine),
        "proc/pressure/cpu": _pressure(machine.load_1m / machine.profile.cores * 8, is_cpu=True),
        "proc/pressure/memory": _pressure(max(0.0, _memory_share(machine) - 0.85) * 40),
        "proc/pressure/io": _pressure(len(machine.jobs) * 0.3),
    }
    for interface, counters in machine.networks.items():
        for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets"):
            value = getattr(counters, name)
            files[f"sys/class/net/{interface}/statistics/{name}"] = f"{value}\n"
    return files


def render_fixed(machine: Machine, hostname: str) -> dict[str, str]:
    """The files that change only with a reboot."""
    return {
        "proc/cpuinfo": _cpuinfo(machine),
        "proc/sys/kernel/random/boot_id": f"{machine.boot_id}\n",
        "proc/sys/kernel/hostname": f"{hostname}\n",
        "proc/version": f"Linux version 6.14.0-1013-sim ({machine.profile.hardware}) simulated\n",
        "proc/net/route": _route(machine),
        "etc/hostname": f"{hostname}\n",
        "etc/os-release": 'NAME="Ubuntu"\nVERSION_ID="24.04"\n'
        'PRETTY_NAME="Ubuntu 24.04.3 LTS (simulated)"\nID=ubuntu\n',
    }


def render_processes(machine: Machine) -> dict[str, str]:
    """The files of each simulated job's own folder below /proc."""
    files = {}
    for job in machine.jobs:
        folder = f"proc/{job.pid}"
        uid = 1000 + sum(job.user.encode()) % 500
        name = job.name.rsplit("/", 1)[-1]
        files[f"{folder}/status"] = (
            f"Name:\t{name[:15]}\nState:\tS (sleeping)\nTgid:\t{job.pid}\nPid:\t{job.pid}\n"
            f"PPid:\t1\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
        )
        files[f"{folder}/owner"] = f"{job.user}\n"
        files[f"{folder}/comm"] = f"{name[:15]}\n"
        files[f"{folder}/cmdline"] = f"{job.name}\0--simulated\0"
        files[f"{folder}/cgroup"] = _cgroup(job.container, job.user)
    return files


def container_id(image: str) -> str:
    """The 64-digit id of the container that runs `image`; the same at every start."""
    return hashlib.sha256(image.encode()).hexdigest()


def _cgroup(container: str | None, user: str) -> str:
    if container is None:
        return f"0::/user.slice/user-{user}.slice/session-4.scope\n"
    return f"0::/system.slice/docker-{container_id(container)}.scope\n"


def _memory_share(machine: Machine) -> float:
    return memory_used_kib(machine) / machine.profile.memory_total_kib


def _stat(machine: Machine) -> str:
    rows = [[int(value) for value in ticks] for ticks in machine.core_ticks]
    total = [sum(column) for column in zip(*rows, strict=True)]
    lines = [_cpu_line("cpu ", total)]
    lines += [_cpu_line(f"cpu{index}", row) for index, row in enumerate(rows)]
    interrupts = int(machine.uptime_seconds * 2200)
    lines += [
        f"intr {interrupts} 0 0 0",
        f"ctxt {interrupts * 3}",
        f"btime {int(machine.booted_at)}",
        f"processes {int(machine.uptime_seconds * 3) + 900}",
        f"procs_running {max(1, round(machine.load_1m))}",
        "procs_blocked 0",
        f"softirq {interrupts // 2} 0 0 0 0 0 0 0 0 0 0",
    ]
    return "\n".join(lines) + "\n"


def _cpu_line(label: str, ticks: list[int]) -> str:
    return f"{label} {' '.join(str(value) for value in ticks)} 0 0 0 0 0"


def _loadavg(machine: Machine) -> str:
    tasks = 412 + 9 * len(machine.jobs)
    return (
        f"{machine.load_1m:.2f} {machine.load_5m:.2f} {machine.load_15m:.2f}"
        f" {max(1, round(machine.load_1m))}/{tasks} {machine.next_pid}\n"
    )


def _meminfo(machine: Machine) -> str:
    total, swap = machine.profile.memory_total_kib, machine.profile.swap_total_kib
    available = int(total - memory_used_kib(machine))
    free = available * 3 // 10
    rows = (
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", available),
        ("Buffers", available // 50),
        ("Cached", available - free),
        ("SwapCached", 0),
        ("Active", total // 5),
        ("Inactive", total // 6),
        ("SwapTotal", swap),
        ("SwapFree", swap * 15 // 16),
        ("Dirty", 1204),
        ("Shmem", total // 300),
    )
    return "".join(f"{f'{name}:':<15} {value:>9} kB\n" for name, value in rows)


def _uptime(machine: Machine) -> str:
    return f"{machine.uptime_seconds:.2f} {machine.idle_ticks / TICKS_PER_SECOND:.2f}\n"


def _net_dev(machine: Machine) -> str:
    lines = [
        f"{name:>6}: {counters.rx_bytes:7d} {counters.rx_packets:7d}    0    0    0     0"
        f"          0         0 {counters.tx_bytes:8d} {counters.tx_packets:7d}"
        "    0    0    0     0       0          0\n"
        for name, counters in sorted(machine.networks.items())
    ]
    return _NET_DEV_HEADER + "".join(lines)


def _diskstats(machine: Machine) -> str:
    read, written = int(machine.sectors_read), int(machine.sectors_written)
    return (
        f" 259       0 nvme0n1 {read // 64} 0 {read} {read // 90}"
        f" {written // 64} 0 {written} {written // 80} 0 {written // 100} {written // 70}"
        " 0 0 0 0 0 0\n"
    )


def _pressure(average_percent: float, *, is_cpu: bool = False) -> str:
    some = min(99.0, average_percent)
    full = 0.0 if is_cpu else some / 2
    return (
        f"some avg10={some:.2f} avg60={some * 0.8:.2f} avg300={some * 0.5:.2f} total=188302\n"
        f"full avg10={full:.2f} avg60={full * 0.8:.2f} avg300={full * 0.5:.2f} total=71023\n"
    )


def _cpuinfo(machine: Machine) -> str:
    profile = machine.profile
    if profile.hardware == "aarch64":
        # Arm kernels give no model name and no clock, only part numbers.
        core = "BogoMIPS\t: 2000.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd85\n"
    else:
        core = (
            f"vendor_id\t: GenuineIntel\nmodel name\t: {profile.cpu_model}\n"
            f"cpu MHz\t\t: {profile.cpu_mhz:.3f}\n"
        )
    return "".join(f"processor\t: {index}\n{core}\n" for index in range(profile.cores))


def _route(machine: Machine) -> str:
    header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    rows = []
    for interface in machine.profile.interfaces:
        if interface.is_default:
            rows.append(
                f"{interface.name}\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
            )
            rows.append(
                f"{interface.name}\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
            )
    return header + "".join(rows)
