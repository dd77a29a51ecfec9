"""The lines of the page's table: words for the groups, and bars against the longest of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from core.formats import ABSENT, number, quantity, share, size
from usage import serializers
from usage.models import UsageSettings
from usage.report import Line, Scope

_NAMELESS = {
    "nobody": ("nobody", "free GPUs"),
    "unknown": ("not known", "the machine does not tell whose process it is"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line in words; `bar` and `busy_bar` are percent of the longest line's GPU time."""

    title: str
    note: str
    machine_id: UUID | None
    is_nobody: bool
    gpu_hours: str
    bar: float
    busy_bar: float
    busy: str
    idle: str
    memory: str
    energy: str
    cost: str


def rows(lines: Sequence[Line], machines: Scope, prices: UsageSettings) -> list[Row]:
    """The lines of one page of the table."""
    longest = max((_time(line) for line in lines), default=0.0)
    return [_row(line, machines, prices, longest) for line in lines]


def _row(line: Line, machines: Scope, prices: UsageSettings, longest: float) -> Row:
    title, note = _words(line, machines)
    return Row(
        title=title,
        note=note,
        machine_id=None if line.machine is None else machines[line.machine].pk,
        is_nobody=bool(line.is_nobody),
        gpu_hours=hours(_time(line)),
        bar=share(_time(line), longest) or 0.0,
        busy_bar=share(line.busy_seconds, longest) or 0.0,
        busy=quantity(share(line.busy_seconds, _time(line)), "%"),
        idle=ABSENT if line.is_nobody else hours(line.idle_seconds),
        memory=size(line.memory_max_bytes),
        energy=energy(line),
        cost=money(line, prices),
    )


def _time(line: Line) -> float:
    """The GPU time of a line: nobody's own is what was free."""
    return line.free_seconds if line.is_nobody else line.share_seconds


def _words(line: Line, machines: Scope) -> tuple[str, str]:
    """What the line is called, and what stands below."""
    if line.start is not None:
        return f"{line.start:%Y-%m-%d}", f"from {line.start:%A}"
    if line.machine is not None:
        name = machines[line.machine].name
        return (name, "") if line.gpu is None else (name, f"GPU {line.gpu}")
    nameless = _NAMELESS.get(serializers.owner_of(line) or "")
    if nameless:
        return nameless
    if line.container is not None:
        return line.container, f"container of {line.user}" if line.user else "container"
    return line.user or ABSENT, ""


def hours(seconds: float | None) -> str:
    """`12.5 h`."""
    return quantity(None if seconds is None else seconds / 3600, "h", 1)


def energy(line: Line) -> str:
    """`3.20 kWh`."""
    return quantity(None if line.energy_wh is None else line.energy_wh / 1000, "kWh", 2)


def money(line: Line, prices: UsageSettings) -> str:
    """`1.20 EUR` at the price that the site's settings hold; absent without one."""
    return quantity(serializers.cost(line, prices), prices.currency, 2)


def percent_of_time(total: Line) -> str:
    """How much of the GPUs' counted time somebody had them."""
    counted = total.share_seconds + total.free_seconds
    return number(share(total.share_seconds, counted))
