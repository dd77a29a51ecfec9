"""`/sys/class/power_supply/*/uevent`: the machine's batteries.

Units of the kernel's ABI (Documentation/ABI/testing/sysfs-class-power): µWh, µAh, µW, µA.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from metrics.collectors.readings import MAX_WHOLE, Battery

Supply = dict[str, str]
_PREFIX = "POWER_SUPPLY_"
MAX_SUPPLIES = 64
_MOST_KEYS, _LONGEST_LINE = 64, 256


def parse(lines: Iterable[str]) -> Battery | None:
    """All batteries as one, or `None` where there is none; mains adapters and mice do not count."""
    every = islice(supplies(lines), MAX_SUPPLIES)
    batteries = [supply for supply in every if _is_battery(supply)]
    if not batteries:
        return None
    states = {supply.get("STATUS", "") for supply in batteries}
    told = bool(states - {"", "Unknown"})
    return Battery(
        level_percent=_level(batteries),
        charging=("Charging" in states) if told else None,
        seconds_left=_seconds_left(batteries) if "Discharging" in states else None,
    )


def supplies(lines: Iterable[str]) -> Iterator[Supply]:
    """One dictionary per supply; its NAME comes first, as the kernel prints it."""
    current: Supply = {}
    for line in lines:
        key, separator, value = line[:_LONGEST_LINE].strip().partition("=")
        if not separator or not key.startswith(_PREFIX):
            continue
        key = key.removeprefix(_PREFIX)
        if key in current or (key == "NAME" and current):
            yield current
            current = {}
        if len(current) < _MOST_KEYS:
            current[key] = value
    if current:
        yield current


def _is_battery(supply: Supply) -> bool:
    if supply.get("SCOPE") == "Device" or supply.get("PRESENT") == "0":
        return False
    kind = supply.get("TYPE")
    return kind == "Battery" if kind else "CAPACITY" in supply


def _number(supply: Supply, *names: str) -> float | None:
    for name in names:
        value = supply.get(name, "")
        if value.lstrip("-").isdigit() and value.isascii() and len(value) <= 15:
            return abs(float(value))
    return None


def _level(batteries: list[Supply]) -> float | None:
    """Percent of the whole: by what each holds where all tell it, else the plain mean."""
    now = [_number(b, "ENERGY_NOW", "CHARGE_NOW") for b in batteries]
    full = [_number(b, "ENERGY_FULL", "CHARGE_FULL") for b in batteries]
    if len(batteries) > 1 and all(n is not None for n in now) and all(full):
        level = 100 * sum(n or 0 for n in now) / sum(f or 0 for f in full)
        return round(min(level, 100.0), 1)
    capacities = [c for c in (_number(b, "CAPACITY") for b in batteries) if c is not None]
    valid = [c for c in capacities if c <= 100]
    return sum(valid) / len(valid) if valid else None


def _seconds_left(batteries: list[Supply]) -> int | None:
    """What is left over the present draw; `None` where either is not told."""
    left = draw = 0.0
    for battery in batteries:
        energy, power = _number(battery, "ENERGY_NOW"), _number(battery, "POWER_NOW")
        if energy is None or power is None:
            energy = _number(battery, "CHARGE_NOW")
            power = _number(battery, "CURRENT_NOW")
        if energy is None:
            return None
        left += energy
        draw += power or 0.0
    seconds = left / draw * 3600 if draw > 0 else None
    # Sixty-four batteries that each hold more than any could would leave 64 bits.
    return int(seconds) if seconds is not None and seconds < MAX_WHOLE else None
