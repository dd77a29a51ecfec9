"""The site's own machine as gauges and meters, from the shape of `/api/metrics`.

`static/js/this-machine.js` draws the same from each message of `/ws/metrics/`.
"""

from collections.abc import Mapping
from typing import Any

from core.formats import level, number, quantity, size_pair
from metrics.pages.panels import Gauge, Meter, gauges

_GPU_NAMES = (
    "model",
    "utilization",
    "memoryUsed",
    "memoryTotal",
    "temperature",
    "powerDraw",
    "graphicsClock",
)


def unread(gpus: int) -> dict[str, Any]:
    """A machine of which nothing is known but how many GPUs it has."""
    gpu = dict.fromkeys(_GPU_NAMES)
    return {
        "cpu": dict.fromkeys(("utilization", "cores", "frequency")),
        "memory": dict.fromkeys(("percent", "used", "total", "swapTotal")),
        "battery": None,
        "gpus": [gpu] * gpus,
    }


def machine_gauges(data: Mapping[str, Any]) -> list[Gauge]:
    """Processor and memory."""
    cpu, memory = data["cpu"], data["memory"]
    cores = f"{cpu['cores']} cores" if cpu["cores"] is not None else ""
    clock = quantity(cpu["frequency"], "MHz") if cpu["frequency"] is not None else ""
    detail = " · ".join(part for part in (cores, clock) if part)
    used = size_pair(memory["used"], memory["total"])
    return [
        _gauge("cpu", "CPU", "cpu", cpu["utilization"], detail, "busy"),
        _gauge("memory", "Memory", "hard-drive", memory["percent"], used, "high"),
    ]


def _gauge(
    key: str, title: str, icon: str, value: float | None, detail: str, high_word: str
) -> Gauge:
    found = level(value)
    words = {"normal": "normal", "elevated": "elevated", "high": high_word}
    word = words.get(found, "not known")
    return Gauge(key, title, icon, found, value, number(value), "%", word, detail)


def machine_meters(data: Mapping[str, Any]) -> list[Meter]:
    """Swap and battery, where there are any."""
    memory, battery = data["memory"], data["battery"]
    lines = []
    if memory["swapTotal"]:
        text = size_pair(memory["swapUsed"], memory["swapTotal"])
        lines.append(Meter("Swap", memory["swapPercent"], text, level(memory["swapPercent"])))
    if battery is not None:
        charge = battery["level"]
        text = quantity(charge, "%") + (" · charging" if battery["charging"] else "")
        is_low = charge is not None and charge < 15
        lines.append(Meter("Battery", charge, text, "high" if is_low else "normal"))
    return lines


def gpu_gauges(gpu: Mapping[str, Any]) -> list[Gauge]:
    """The four cards of a GPU, which here comes under other names."""
    return gauges(
        {
            "utilization_percent": gpu["utilization"],
            "memory_used_bytes": gpu["memoryUsed"],
            "memory_total_bytes": gpu["memoryTotal"],
            "memory_kind": None,
            "temperature_c": gpu["temperature"],
            "power_watts": gpu["powerDraw"],
            "power_limit_watts": None,
            "fan_percent": None,
            "sm_clock_mhz": gpu["graphicsClock"],
        }
    )
