"""What the NVIDIA driver of a simulated machine would answer, as tables for the fake `nvidia-smi`.

Each table is rows of texts exactly as the tool prints them, units included. `N/A` stands where the
real card reports nothing: a GB10 has no memory, no power limit, no fan and no memory clock.
"""

import uuid

from simulator.physics import Gpu, Machine, gpu_memory_used_mib, jobs_on
from simulator.profiles import GpuModel, MigSlice

NOT_AVAILABLE = "[N/A]"
LOST = "[GPU is lost]"

Row = dict[str, str]

# What a lost card no longer answers; the rest is remembered by the driver.
_LOST_FIELDS = (
    "fan.speed",
    "memory.used",
    "memory.free",
    "power.draw",
    "power.draw.instant",
    "power.limit",
    "utilization.gpu",
    "clocks.current.sm",
)
_REASON_BITS = {"gpu_idle": 0x1, "sw_power_cap": 0x4, "sw_thermal_slowdown": 0x20}
_REASONS = (
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
    "sync_boost",
)


def gpu_rows(machine: Machine) -> list[Row]:
    """One row per card, by the names of `--query-gpu`."""
    model = machine.profile.gpu
    assert model is not None
    return [_gpu_row(machine, model, index, gpu) for index, gpu in enumerate(machine.gpus)]


def app_rows(machine: Machine) -> list[Row]:
    """One row per compute process, by the names of `--query-compute-apps`."""
    assert machine.profile.gpu is not None
    rows = []
    for job in machine.jobs:
        ids = ("[N/A]", "[N/A]")
        if job.mig_index is not None:
            part = machine.profile.slices(job.gpu_index)[job.mig_index]
            ids = (str(part.gpu_instance), str(part.compute_instance))
        rows.append(
            {
                "index": str(job.gpu_index),
                "gpu_name": machine.profile.gpu.name,
                "gpu_bus_id": bus_id(machine, job.gpu_index),
                "gpu_serial": _serial(machine, job.gpu_index),
                "gpu_uuid": gpu_uuid(machine, job.gpu_index),
                "pid": str(job.pid),
                "process_name": job.name,
                "used_gpu_memory": f"{int(job.memory_mib)} MiB",
                "gpu_instance": ids[0],
                "compute_instance": ids[1],
            }
        )
    return rows


def mig_rows(machine: Machine) -> list[Row]:
    """One row per MIG device."""
    return [
        _mig_row(machine, gpu_index, mig_index, part)
        for gpu_index in range(machine.profile.gpu_count)
        for mig_index, part in enumerate(machine.profile.slices(gpu_index))
    ]


def gpu_uuid(machine: Machine, index: int) -> str:
    """The UUID of one card; the same at every start with the same seed."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{machine.profile.name}/{machine.seed}/{index}')}"


def mig_uuid(machine: Machine, gpu_index: int, mig_index: int) -> str:
    """The UUID of one MIG device."""
    name = f"{machine.profile.name}/{machine.seed}/{gpu_index}/{mig_index}"
    return f"MIG-{uuid.uuid5(uuid.NAMESPACE_OID, name)}"


def bus_id(machine: Machine, index: int) -> str:
    """The PCI address as nvidia-smi writes it: an eight-digit domain first."""
    assert machine.profile.gpu is not None
    return f"{machine.profile.gpu.pci_domain:08X}:{_bus(machine, index):02X}:00.0"


def _bus(machine: Machine, index: int) -> int:
    return 1 if machine.profile.gpu_count == 1 else 0x19 + 0x11 * index


def _serial(machine: Machine, index: int) -> str:
    if machine.profile.gpu is None or not machine.profile.gpu.has_ecc:
        return NOT_AVAILABLE
    return f"165{machine.seed % 1000:03d}{index:07d}"


def _gpu_row(machine: Machine, model: GpuModel, index: int, gpu: Gpu) -> Row:
    row = _identity(machine, model, index)
    row |= _memory(machine, model, index)
    row |= _activity(machine, model, index, gpu)
    row |= _power(model, gpu)
    row |= _clocks(model, gpu)
    row |= _reasons(model, gpu)
    if gpu.is_lost:
        row |= dict.fromkeys(_LOST_FIELDS, LOST)
    return row


def _identity(machine: Machine, model: GpuModel, index: int) -> Row:
    address = bus_id(machine, index)
    mig = NOT_AVAILABLE
    if model.has_ecc:
        mig = "Enabled" if machine.profile.slices(index) else "Disabled"
    ecc = "Enabled" if model.has_ecc else NOT_AVAILABLE
    return {
        "index": str(index),
        "name": model.name,
        "uuid": gpu_uuid(machine, index),
        "serial": _serial(machine, index),
        "count": str(machine.profile.gpu_count),
        "driver_version": machine.profile.driver,
        "cuda_version": machine.profile.cuda,
        "architecture": model.architecture,
        "pci.bus_id": address,
        "pci.domain": f"0x{model.pci_domain:04X}",
        "pci.bus": f"0x{_bus(machine, index):02X}",
        "pci.device": "0x00",
        "pci.device_id": model.device_id,
        "display_attached": "No",
        "display_active": "Disabled",
        "persistence_mode": "Enabled",
        "addressing_mode": model.addressing_mode,
        "accounting.mode": "Disabled",
        "accounting.buffer_size": "4000",
        "vbios_version": "96.00.99.00.01",
        "compute_mode": "Default",
        "compute_cap": model.compute_capability,
        "mig.mode.current": mig,
        "mig.mode.pending": mig,
        "ecc.mode.current": ecc,
        "ecc.mode.pending": ecc,
        "ecc.errors.uncorrected.volatile.total": "0" if model.has_ecc else NOT_AVAILABLE,
        "gpu_recovery_action": "None",
    }


def _memory(machine: Machine, model: GpuModel, index: int) -> Row:
    names = ("memory.total", "memory.reserved", "memory.used", "memory.free")
    if model.memory_total_mib is None:
        return dict.fromkeys(names, NOT_AVAILABLE)
    reserved = model.memory_total_mib // 170
    used = int(gpu_memory_used_mib(machine, index))
    used += sum(_idle_mib(part) for part in machine.profile.slices(index))
    used = min(used, model.memory_total_mib - reserved)
    values = (model.memory_total_mib, reserved, used, model.memory_total_mib - reserved - used)
    return {name: f"{value} MiB" for name, value in zip(names, values, strict=True)}


def _activity(machine: Machine, model: GpuModel, index: int, gpu: Gpu) -> Row:
    # The driver gives no utilisation for a card that is cut into MIG devices.
    is_cut = bool(machine.profile.slices(index))
    percent = gpu.utilization_percent
    return {
        "utilization.gpu": NOT_AVAILABLE if is_cut else f"{round(percent)} %",
        "utilization.memory": NOT_AVAILABLE if is_cut else f"{round(percent * 0.55)} %",
        "utilization.encoder": NOT_AVAILABLE if is_cut else "0 %",
        "utilization.decoder": NOT_AVAILABLE if is_cut else "0 %",
        "temperature.gpu": str(round(gpu.temperature_c)),
        "temperature.gpu.tlimit": str(max(0, round(87 - gpu.temperature_c))),
        # The GB10 gives no limits in degrees.
        "temperature.max": NOT_AVAILABLE if model.memory_total_mib is None else "92",
        "temperature.slow": NOT_AVAILABLE if model.memory_total_mib is None else "89",
        "temperature.memory": str(round(gpu.temperature_c + 8)) if model.has_ecc else NOT_AVAILABLE,
        "fan.speed": f"{round(gpu.fan_percent)} %" if model.has_fan else NOT_AVAILABLE,
        "pstate": "P0" if jobs_on(machine, index) or not model.has_fan else "P8",
    }


def _power(model: GpuModel, gpu: Gpu) -> Row:
    draw = f"{gpu.power_watts:.2f} W"
    limit = model.power_limit_watts
    limits = (
        "power.limit",
        "enforced.power.limit",
        "power.default_limit",
        "power.max_limit",
    )
    return {
        "power.draw": draw,
        "power.draw.average": draw,
        "power.draw.instant": draw,
        "power.min_limit": NOT_AVAILABLE if limit is None else f"{limit / 3.5:.2f} W",
        **dict.fromkeys(limits, NOT_AVAILABLE if limit is None else f"{limit:.2f} W"),
    }


def _clocks(model: GpuModel, gpu: Gpu) -> Row:
    memory = NOT_AVAILABLE if model.memory_clock_mhz is None else f"{model.memory_clock_mhz} MHz"
    return {
        "clocks.current.graphics": f"{round(gpu.clock_mhz)} MHz",
        "clocks.current.sm": f"{round(gpu.clock_mhz)} MHz",
        "clocks.current.memory": memory,
        "clocks.current.video": f"{round(gpu.clock_mhz * 0.8)} MHz",
        "clocks.max.graphics": f"{model.busy_clock_mhz} MHz",
        "clocks.max.sm": f"{model.busy_clock_mhz} MHz",
        "clocks.max.memory": memory,
    }


def _reasons(model: GpuModel, gpu: Gpu) -> Row:
    active = set()
    if gpu.utilization_percent < 1:
        active.add("gpu_idle")
    if model.power_limit_watts is not None and gpu.power_watts > 0.94 * model.power_limit_watts:
        active.add("sw_power_cap")
    if gpu.temperature_c > model.busy_temperature_c - 2:
        active.add("sw_thermal_slowdown")
    bits = sum(_REASON_BITS[name] for name in active)
    row = {
        f"clocks_event_reasons.{name}": "Active" if name in active else "Not Active"
        for name in _REASONS
    }
    row["clocks_event_reasons.supported"] = "0x00000000000001FF"
    row["clocks_event_reasons.active"] = f"0x{bits:016X}"
    return row


def _idle_mib(part: MigSlice) -> int:
    return part.memory_total_mib // 2400 + 1


def _mig_row(machine: Machine, gpu_index: int, mig_index: int, part: MigSlice) -> Row:
    used = sum(job.memory_mib for job in jobs_on(machine, gpu_index) if job.mig_index == mig_index)
    used_mib = int(used) + _idle_mib(part)
    return {
        "gpu_index": str(gpu_index),
        "index": str(mig_index),
        "uuid": mig_uuid(machine, gpu_index, mig_index),
        "profile": part.profile,
        "gpu_instance": str(part.gpu_instance),
        "compute_instance": str(part.compute_instance),
        "multiprocessors": str(part.multiprocessors),
        "memory_used": f"{used_mib} MiB",
        "memory_total": f"{part.memory_total_mib} MiB",
        "memory_free": f"{part.memory_total_mib - used_mib} MiB",
    }
