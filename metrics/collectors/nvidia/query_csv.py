"""Rows of `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`, and files with a header.

A row that does not fit its field list is refused, never guessed. Field names and their renaming
over the drivers: `nvidia-smi --help-query-gpu` and the captures of drivers 352 to 610.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from metrics.collectors.nvidia import values as nvidia_values
from metrics.collectors.tokens import Refusals

# What the program asks for. The name goes last: it is the one value that may hold a comma.
GPU_FIELDS = (
    "index",
    "uuid",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "temperature.gpu",
    "power.draw",
    "power.draw.instant",
    "power.limit",
    "fan.speed",
    "clocks.current.sm",
    "clocks.current.memory",
    "mig.mode.current",
    "clocks_event_reasons.active",
    "name",
)
_STATES = (
    "sw_power_cap",
    "hw_slowdown",
    "hw_thermal_slowdown",
    "sw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sync_boost",
    "applications_clocks_setting",
)
# What the program asks instead of a field that the driver refuses; a field without an entry here
# is simply not asked again. Drivers before 535 know "throttle" where newer ones say "event".
INSTEAD = {
    "clocks_event_reasons.active": ("clocks_throttle_reasons.active",),
    "clocks_throttle_reasons.active": tuple(f"clocks_event_reasons.{s}" for s in _STATES),
    **{f"clocks_event_reasons.{s}": (f"clocks_throttle_reasons.{s}",) for s in _STATES},
    "power.limit": ("enforced.power.limit",),
    "clocks.current.sm": ("clocks.sm",),
    "clocks.current.memory": ("clocks.mem",),
}
SAME = {"clocks.sm": "clocks.current.sm", "clocks.mem": "clocks.current.memory"}
# A row of every field that any driver knows is a third of it.
MAX_LINE = 16 * 1024
MAX_FIELDS = 256
# Tokens whose values are remembered, of all fields together, and how long one may be.
MAX_KNOWN = 8192
MAX_KNOWN_CHARACTERS = 128


class Rows:
    """Reads the rows of one query. Tokens repeat themselves, so their values are remembered."""

    def __init__(self, fields: Sequence[str], refusals: Refusals) -> None:
        names = [SAME.get(field, field) for field in fields[:MAX_FIELDS]]
        self.fields = names
        self._refusals = refusals
        self._converters = [nvidia_values.converter(name, refusals) for name in names]
        self._known: list[dict[str, Any]] = [{} for _ in names]
        self._known_count = 0
        self._index = names.index("index") if "index" in names else None

    def parse(self, line: str) -> nvidia_values.Reading | None:
        """One GPU's values from one row, or `None` for a row that does not fit."""
        parts = split_row(line, len(self.fields)) if len(line) <= MAX_LINE else None
        if parts is None:
            return None
        index = "0" if self._index is None else parts[self._index].strip()
        if not (index.isascii() and index.isdigit() and len(index) <= 4):
            return None
        values = []
        for at, token in enumerate(parts):
            known = self._known[at]
            values.append(known[token] if token in known else self._value(at, token))
        return nvidia_values.reading(dict(zip(self.fields, values, strict=True)), int(index))

    def _value(self, at: int, token: str) -> Any:
        """A token's value; refused ones are not remembered, so that each is counted."""
        before = self._refusals.count
        value = self._converters[at](token)
        if self._refusals.count == before and len(token) <= MAX_KNOWN_CHARACTERS:
            if self._known_count >= MAX_KNOWN:
                self._known_count = 0
                for known in self._known:
                    known.clear()
            self._known[at][token] = value
            self._known_count += 1
        return value


def split_row(line: str, count: int) -> list[str] | None:
    """The values of a row of `count` fields, of which only the last may hold a comma."""
    parts = line.rstrip("\r").split(", ", count - 1)
    if len(parts) != count:
        parts = line.rstrip("\r").split(",", count - 1)
    return parts if len(parts) == count else None


def parse_file(text: str, refusals: Refusals) -> Iterator[nvidia_values.Reading]:
    """Every GPU of a CSV with a header, as `--format=csv` prints it; odd rows are left out."""
    lines = [line for line in text.splitlines() if line.strip()]
    rows = Rows(header_fields(lines[0]) if lines else [], refusals)
    for line in lines[1:]:
        parts = line.split(", ")
        told = rows.parse(line) if len(parts) == len(rows.fields) else None
        if told is not None:
            yield told


def header_fields(line: str) -> list[str]:
    """Query names of a header; units and remarks such as "[Deprecated; …]" are dropped."""
    names = line[:MAX_LINE].split(", ")
    return [name.partition("[")[0].strip() for name in names]
