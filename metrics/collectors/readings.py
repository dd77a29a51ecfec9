"""The shapes of one sample: what one machine reported at one moment.

Values only. Absent is `None`, zero is zero; base units, the unit is in the name. `as_dict` gives
the JSON that the API, the socket and Redis carry, without what only the site knows (the
connection's id and the sequence number).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

MemoryKind = Literal["dedicated", "unified"]

# JSON, Redis and PostgreSQL hold no more than 64 bits; what a machine says beyond is not read.
MAX_WHOLE = 2**63 - 1

# Interfaces that never carry a machine's own traffic to the outside; used only where the machine
# does not say which of its interfaces are hardware.
VIRTUAL_INTERFACES = (
    "lo",
    "veth",
    "docker",
    "br-",
    "virbr",
    "tun",
    "tap",
    "cni",
    "flannel",
    "cali",
)


@dataclass(frozen=True, slots=True)
class MigDevice:
    """One MIG slice of a GPU; `index` is the device number that `nvidia-smi -L` shows."""

    index: int
    uuid: str | None = None
    profile: str | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The slice as the API shows it."""
        return {
            "index": self.index,
            "uuid": self.uuid,
            "profile": self.profile,
            "memory_used_bytes": self.memory_used_bytes,
            "memory_total_bytes": self.memory_total_bytes,
        }


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU at one moment; `throttle_reasons` is `None` where the driver does not tell them."""

    index: int
    uuid: str | None = None
    name: str | None = None
    utilization_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    memory_kind: MemoryKind | None = None
    temperature_c: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    fan_percent: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    throttle_reasons: tuple[str, ...] | None = None
    mig: tuple[MigDevice, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The GPU as the API shows it."""
        reasons = self.throttle_reasons
        return {
            "index": self.index,
            "uuid": self.uuid,
            "name": self.name,
            "utilization_percent": self.utilization_percent,
            "memory_used_bytes": self.memory_used_bytes,
            "memory_total_bytes": self.memory_total_bytes,
            "memory_kind": self.memory_kind,
            "temperature_c": self.temperature_c,
            "power_watts": self.power_watts,
            "power_limit_watts": self.power_limit_watts,
            "fan_percent": self.fan_percent,
            "sm_clock_mhz": self.sm_clock_mhz,
            "memory_clock_mhz": self.memory_clock_mhz,
            "throttle_reasons": None if reasons is None else list(reasons),
            "mig": [device.as_dict() for device in self.mig],
        }


@dataclass(frozen=True, slots=True)
class Process:
    """One process that computes on a GPU."""

    gpu_uuid: str | None
    pid: int
    name: str | None = None
    user: str | None = None
    container: str | None = None
    memory_used_bytes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The process as the API shows it."""
        return {
            "gpu_uuid": self.gpu_uuid,
            "pid": self.pid,
            "name": self.name,
            "user": self.user,
            "container": self.container,
            "memory_used_bytes": self.memory_used_bytes,
        }


@dataclass(frozen=True, slots=True)
class Cpu:
    """All processors of the machine together; the first sample of a stream has no utilisation."""

    utilization_percent: float | None = None
    cores: int | None = None
    frequency_mhz: float | None = None
    load_1m: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The processors as the API shows them."""
        return {
            "utilization_percent": self.utilization_percent,
            "cores": self.cores,
            "frequency_mhz": self.frequency_mhz,
            "load_1m": self.load_1m,
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory; `pressure_percent` is the kernel's "some" share of the last ten seconds."""

    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    pressure_percent: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The memory as the API shows it."""
        return {
            "total_bytes": self.total_bytes,
            "used_bytes": self.used_bytes,
            "available_bytes": self.available_bytes,
            "swap_total_bytes": self.swap_total_bytes,
            "swap_used_bytes": self.swap_used_bytes,
            "pressure_percent": self.pressure_percent,
        }


@dataclass(frozen=True, slots=True)
class Disk:
    """One mounted file system."""

    mount: str
    total_bytes: int | None = None
    used_bytes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The file system as the API shows it."""
        return {
            "mount": self.mount,
            "total_bytes": self.total_bytes,
            "used_bytes": self.used_bytes,
        }


@dataclass(frozen=True, slots=True)
class Network:
    """One interface; counters since it came up, rates since the sample before.

    `is_physical` (hardware) and `is_default` (carries the IPv4 default route) are `None` where the
    machine does not say; they stay inside the site.
    """

    interface: str
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    rx_packets: int | None = None
    tx_packets: int | None = None
    rx_bytes_per_second: float | None = None
    tx_bytes_per_second: float | None = None
    is_physical: bool | None = None
    is_default: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The interface as the API shows it."""
        return {
            "interface": self.interface,
            "rx_bytes": self.rx_bytes,
            "tx_bytes": self.tx_bytes,
            "rx_packets": self.rx_packets,
            "tx_packets": self.tx_packets,
            "rx_bytes_per_second": self.rx_bytes_per_second,
            "tx_bytes_per_second": self.tx_bytes_per_second,
        }


@dataclass(frozen=True, slots=True)
class Battery:
    """All batteries of the machine together; `seconds_left` only while they empty."""

    level_percent: float | None = None
    charging: bool | None = None
    seconds_left: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The battery as the API shows it."""
        return {
            "level_percent": self.level_percent,
            "charging": self.charging,
            "seconds_left": self.seconds_left,
        }


@dataclass(frozen=True, slots=True)
class Health:
    """Whether one source answered; `detail` holds the tool's own words when it did not."""

    source: str
    ok: bool
    detail: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The source as the API shows it."""
        return {"source": self.source, "ok": self.ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything one machine reported in one frame, stamped with our time of receipt."""

    recorded_at: datetime
    gpus: tuple[Gpu, ...] = ()
    processes: tuple[Process, ...] = ()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disks: tuple[Disk, ...] = ()
    networks: tuple[Network, ...] = ()
    battery: Battery | None = None
    health: tuple[Health, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The sample as the API shows it, ready for any JSON encoder."""
        return {
            "recorded_at": iso_utc(self.recorded_at),
            "gpus": [gpu.as_dict() for gpu in self.gpus],
            "processes": [process.as_dict() for process in self.processes],
            "cpu": self.cpu.as_dict(),
            "memory": self.memory.as_dict(),
            "disks": [disk.as_dict() for disk in self.disks],
            "networks": [network.as_dict() for network in self.networks],
            "battery": None if self.battery is None else self.battery.as_dict(),
            "health": [entry.as_dict() for entry in self.health],
        }

    def physical_networks(self) -> list[Network]:
        """The interfaces whose traffic leaves the machine, each byte counted once."""
        return physical(self.networks)


def physical(networks: Iterable[Network]) -> list[Network]:
    """Hardware interfaces; by name where the machine names no hardware (a container, a VM)."""
    every = list(networks)
    told = [network for network in every if network.is_physical]
    return told or [n for n in every if not n.interface.startswith(VIRTUAL_INTERFACES)]


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
