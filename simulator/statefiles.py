"""Writing what a simulated machine shows: its /proc files and the tables of its tools.

Files are replaced as a whole (write, rename), so that a reader never sees half of one.
"""

import os
from pathlib import Path

from simulator import nvidia, procfs, rocm
from simulator.physics import Machine
from simulator.profiles import Profile
from simulator.tools.tables import Row, render_table


def write_fixed(machine: Machine, hostname: str, root: Path) -> None:
    """Write the files that stay until the next boot."""
    _write_all(root, procfs.render_fixed(machine, hostname))


def write_moving(machine: Machine, root: Path, state: Path) -> None:
    """Write what changes every second."""
    _write_all(root, procfs.render(machine))
    tables = _tables(machine)
    _write_all(state, {f"{name}.tsv": render_table(rows) for name, rows in tables.items()})
    _write_processes(machine, root)


def write_tool_trouble(
    state: Path, tool: str, kind: str | None, *, status: int = 0, text: str = ""
) -> None:
    """Make `tool` fail as `simulator.tools.trouble` describes; `None` heals it."""
    path = state / f"trouble-{tool}"
    if kind is None:
        path.unlink(missing_ok=True)
    else:
        _write(path, f"{kind}\n{status}\n{text}")


def _tables(machine: Machine) -> dict[str, list[Row]]:
    tables = {"disks": _disk_rows(machine), "processes": _process_rows(machine)}
    vendor = machine.profile.gpu.vendor if machine.profile.gpu else None
    if vendor == "nvidia":
        tables["gpus"] = nvidia.gpu_rows(machine)
        tables["apps"] = nvidia.app_rows(machine)
        tables["mig"] = nvidia.mig_rows(machine)
    if vendor == "amd":
        tables["cards"] = rocm.card_rows(machine)
        tables["kfd"] = rocm.process_rows(machine)
    return tables


def _disk_rows(machine: Machine) -> list[Row]:
    return [
        {
            "device": disk.device,
            "kind": disk.kind,
            "mount": disk.mount,
            "total_kib": str(disk.total_kib),
            "used_kib": str(disk.used_kib + _growth_kib(machine.profile, disk.mount, machine)),
        }
        for disk in machine.profile.disks
    ]


def _growth_kib(profile: Profile, mount: str, machine: Machine) -> int:
    """Jobs write to the largest disk."""
    largest = max(profile.disks, key=lambda disk: disk.total_kib)
    return int(machine.disk_used_kib) if mount == largest.mount else 0


def _process_rows(machine: Machine) -> list[Row]:
    return [
        {
            "pid": str(job.pid),
            "name": job.name,
            "user": job.user,
            "etimes": str(max(0, int(machine.uptime_seconds - job.ends_at + 300))),
        }
        for job in machine.jobs
    ]


def _write_processes(machine: Machine, root: Path) -> None:
    """Keep a folder below /proc for each job, and none for those that have ended."""
    files = procfs.render_processes(machine)
    wanted = {str(job.pid) for job in machine.jobs}
    there = {entry.name for entry in (root / "proc").iterdir() if entry.name.isdigit()}
    for pid in there - wanted:
        for file in (root / "proc" / pid).iterdir():
            file.unlink()
        (root / "proc" / pid).rmdir()
    _write_all(
        root, {path: text for path, text in files.items() if path.split("/")[1] not in there}
    )


def _write_all(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        _write(folder / path, text)


def _write(path: Path, text: str) -> None:
    fresh = f"{path}.new"
    try:
        _write_bytes(fresh, text)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_bytes(fresh, text)
    os.replace(fresh, path)


def _write_bytes(path: str, text: str) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(text.encode())
