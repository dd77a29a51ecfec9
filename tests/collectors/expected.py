"""What each capture says, read by a second, independent and very plain reader.

It looks with regular expressions at the text and shares nothing with the collectors.
"""

import re
from pathlib import Path
from typing import Any

Values = dict[str, Any]
MIB = 1024 * 1024
REASONS = (
    "sw_power_cap",
    "hw_slowdown",
    "hw_thermal_slowdown",
    "sw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sync_boost",
    "applications_clocks_setting",
    "display_clocks_setting",
)


def from_xml(path: Path) -> list[Values]:
    """Every GPU of an XML capture, in the shape of the API without MIG slices."""
    text = path.read_text()
    blocks = re.findall(r"<gpu id=.*?</gpu>", text, re.DOTALL)
    return [_xml_gpu(block, index) for index, block in enumerate(blocks)]


def _xml_gpu(block: str, index: int) -> Values:
    # Slices and processes repeat element names of the card.
    own = re.sub(r"<mig_devices>.*?</mig_devices>", "", block, flags=re.DOTALL)
    own = re.sub(r"<processes>.*?</processes>", "", own, flags=re.DOTALL)
    own = re.sub(r"<module_power_readings>.*?</module_power_readings>", "", own, flags=re.DOTALL)
    memory = section(own, "fb_memory_usage")
    power = section(own, "power_readings") or section(own, "gpu_power_readings")
    total = mib(leaf(memory, "total"))
    draw = plain(leaf(power, "average_power_draw") or leaf(power, "power_draw"))
    limit = plain(leaf(power, "current_power_limit") or leaf(power, "power_limit"))
    return {
        "index": index,
        "uuid": leaf(own, "uuid"),
        "name": leaf(own, "product_name"),
        "utilization_percent": plain(leaf(section(own, "utilization"), "gpu_util")),
        "memory_used_bytes": mib(leaf(memory, "used")),
        "memory_total_bytes": total,
        "memory_kind": None if total is None else "dedicated",
        "temperature_c": plain(leaf(section(own, "temperature"), "gpu_temp")),
        "power_watts": plain(leaf(power, "instant_power_draw")) if draw is None else draw,
        "power_limit_watts": limit,
        "fan_percent": plain(leaf(own, "fan_speed")),
        "sm_clock_mhz": plain(leaf(section(own, "clocks"), "sm_clock")),
        "memory_clock_mhz": plain(leaf(section(own, "clocks"), "mem_clock")),
        "throttle_reasons": _xml_reasons(own),
    }


def _xml_reasons(block: str) -> list[str] | None:
    states = dict(re.findall(r"<clocks_(?:event|throttle)_reason_(\w+)>\s*([\w ]+?)\s*</", block))
    told = [name for name in REASONS if name in states]
    return [name for name in told if states[name] == "Active"] if told else None


def section(text: str, name: str) -> str:
    """The body of the first element of that name."""
    match = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return match[1] if match else ""


def leaf(text: str, name: str) -> str | None:
    """The text of the first element of that name."""
    body = section(text, name).strip()
    return body or None


def from_csv(path: Path) -> list[Values]:
    """Every GPU of a whole query-gpu capture."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    header = [re.sub(r" \[.*", "", name) for name in lines[0].split(", ")]
    return [_csv_gpu(dict(zip(header, line.split(", "), strict=True))) for line in lines[1:]]


def _csv_gpu(row: dict[str, str]) -> Values:
    total = mib(row["memory.total"])
    mask = row.get("clocks_event_reasons.active") or row["clocks_throttle_reasons.active"]
    states = {
        name: row.get(f"clocks_event_reasons.{name}", row.get(f"clocks_throttle_reasons.{name}"))
        for name in REASONS
    }
    assert mask.startswith("0x"), "every whole capture so far tells the mask"
    return {
        "index": int(row["index"]),
        "uuid": row["uuid"],
        "name": row["name"],
        "utilization_percent": plain(row["utilization.gpu"]),
        "memory_used_bytes": mib(row["memory.used"]),
        "memory_total_bytes": total,
        "memory_kind": None if total is None else "dedicated",
        "temperature_c": plain(row["temperature.gpu"]),
        "power_watts": plain(row["power.draw"]),
        "power_limit_watts": plain(row["power.limit"]),
        "fan_percent": plain(row["fan.speed"]),
        "sm_clock_mhz": plain(row["clocks.current.sm"]),
        "memory_clock_mhz": plain(row["clocks.current.memory"]),
        "throttle_reasons": [name for name in REASONS if states[name] == "Active"],
    }


def plain(text: str | None) -> float | None:
    """The number at the beginning of a value, if it begins with one."""
    match = re.match(r"\d+(\.\d+)?", text or "")
    return float(match[0]) if match else None


def mib(text: str | None) -> int | None:
    """MiB as bytes."""
    value = plain(text)
    return None if value is None else int(value) * MIB
