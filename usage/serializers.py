"""Usage as the API and the CSV show it: hours, kWh and money in place of seconds and watt-hours."""

from datetime import datetime
from typing import Any

from core.times import iso
from usage.idle import Holder
from usage.models import UsageSettings
from usage.report import Line, Scope

_DIGITS = 4


def numbers(line: Line, prices: UsageSettings) -> dict[str, Any]:
    """The numbers of a group, or of all."""
    kwh = None if line.energy_wh is None else line.energy_wh / 1000
    most = line.memory_max_bytes
    return {
        "held_hours": _hours(line.held_seconds),
        "gpu_hours": _hours(line.share_seconds),
        "free_gpu_hours": _hours(line.free_seconds),
        "busy_gpu_hours": _hours(line.busy_seconds),
        "idle_hours": _hours(line.idle_seconds),
        "memory_max_bytes": None if most is None else round(most),
        "energy_kwh": _rounded(kwh),
        "cost": cost(line, prices),
    }


def cost(line: Line, prices: UsageSettings) -> float | None:
    """What the energy costs at today's price; None without a price or without energy."""
    if line.energy_wh is None or prices.price_per_kwh is None:
        return None
    return _rounded(line.energy_wh / 1000 * float(prices.price_per_kwh))


def line_dict(line: Line, machines: Scope, prices: UsageSettings) -> dict[str, Any]:
    """One group with its keys."""
    machine = None if line.machine is None else machines[line.machine]
    return {
        "owner": owner_of(line),
        "user": line.user,
        "container": line.container,
        "connection_id": None if machine is None else machine.pk,
        "connection_name": None if machine is None else machine.name,
        "gpu": line.gpu,
        "start": iso(line.start),
        **numbers(line, prices),
    }


def owner_of(line: Line) -> str | None:
    """What is known of the owner; None where lines are not grouped by owners."""
    if line.is_nobody is None:
        return None
    if line.is_nobody:
        return "nobody"
    return "known" if line.user is not None or line.container is not None else "unknown"


def holder_dict(holder: Holder, machines: Scope, now: datetime) -> dict[str, Any]:
    """One idle holder."""
    machine, since = machines[holder.machine], holder.since
    memory = holder.memory_bytes
    return {
        "connection_id": machine.pk,
        "connection_name": machine.name,
        "gpu": holder.gpu,
        "user": holder.user,
        "container": holder.container,
        "idle_since": iso(since),
        "idle_seconds": None if since is None else int((now - since).total_seconds()),
        "memory_bytes": None if memory is None else round(memory),
        "idle_hours": _hours(holder.idle_seconds),
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds / 3600)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
