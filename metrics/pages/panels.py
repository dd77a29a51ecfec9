"""What the machine page draws of a sample: gauges, meters and bars, as plain data.

A template paints them once; `static/js/panels.js` computes the same from each live sample. Colours
follow the levels of the design: below 50 normal, to 80 elevated, above high; temperature 60 and 80.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.formats import ABSENT, number, quantity, share, size, size_pair
from core.formats import level as level_of

BARS = 60
NOT_REPORTED = "not reported by this GPU"
_LOAD_WORDS = {"normal": "normal", "elevated": "elevated", "high": "busy"}
_WORDS = {"normal": "normal", "elevated": "elevated", "high": "high"}


@dataclass(frozen=True, slots=True)
class Gauge:
    """`fill` is the arc in percent, None: nothing to draw; `is_open`: no known end."""

    key: str
    title: str
    icon: str
    level: str
    fill: float | None
    text: str
    unit: str
    word: str
    detail: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """A labelled line with a bar; `percent` None draws no bar."""

    label: str
    percent: float | None
    text: str
    level: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One reading of the last two minutes; `percent` None is a gap, not a zero."""

    position: int
    percent: float | None
    level: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one interface has carried, and its counters when that was nothing, in bytes."""

    interface: str
    rx_from: int
    tx_from: int
    text: str


def traffic(sample: Mapping[str, Any], session: Mapping[str, Any] | None) -> Traffic | None:
    """Of the default route's interface since the machine was connected
    (`metrics.live.store.session`).

    None where the route is not known, or its interface tells no bytes.
    """
    name = session and session["default"]
    carried = session["networks"].get(name) if session else None
    now = next((one for one in sample["networks"] if one["interface"] == name), None)
    if not name or not carried or not now:
        return None
    rx, tx = carried["rx_bytes"], carried["tx_bytes"]
    if rx is None or tx is None:
        return None
    return Traffic(
        interface=name,
        rx_from=now["rx_bytes"] - rx,
        tx_from=now["tx_bytes"] - tx,
        text=f"{name}: {size(rx)} in, {size(tx)} out",
    )


def gauges(gpu: Mapping[str, Any]) -> list[Gauge]:
    """The four cards of one GPU."""
    return [_utilization(gpu), _memory(gpu), _temperature(gpu), _power(gpu)]


def _utilization(gpu: Mapping[str, Any]) -> Gauge:
    value, clock = gpu["utilization_percent"], gpu["sm_clock_mhz"]
    level = level_of(value)
    detail = f"at {quantity(clock, 'MHz')}" if clock is not None else ""
    word = _LOAD_WORDS.get(level, NOT_REPORTED)
    return Gauge(
        "utilization", "Utilisation", "gauge", level, value, number(value), "%", word, detail
    )


def _memory(gpu: Mapping[str, Any]) -> Gauge:
    used, total = gpu["memory_used_bytes"], gpu["memory_total_bytes"]
    value = share(used, total)
    level = level_of(value)
    kind = "unified memory" if gpu["memory_kind"] == "unified" else ""
    known = size_pair(used, total) if used is not None or total is not None else ""
    detail = " · ".join(part for part in (known, kind) if part)
    word = _WORDS.get(level, NOT_REPORTED)
    return Gauge("memory", "Memory", "hard-drive", level, value, number(value), "%", word, detail)


def _temperature(gpu: Mapping[str, Any]) -> Gauge:
    value, fan = gpu["temperature_c"], gpu["fan_percent"]
    level = level_of(value, 60, 80)
    detail = f"fan {quantity(fan, '%')}" if fan is not None else ""
    word = _WORDS.get(level, NOT_REPORTED)
    return Gauge(
        "temperature", "Temperature", "thermometer", level, value, number(value), "°C", word, detail
    )


def _power(gpu: Mapping[str, Any]) -> Gauge:
    value, limit = gpu["power_watts"], gpu["power_limit_watts"]
    fill = share(value, limit)
    word = _WORDS.get(level_of(fill), "") if value is not None else NOT_REPORTED
    detail = "" if value is None else "limit not reported"
    if limit is not None:
        detail = f"limit {quantity(limit, 'W')}"
    level = "none" if value is None else "power"
    is_open = fill is None
    text = number(value)
    return Gauge("power", "Power", "zap", level, fill, text, "W", word, detail, is_open)


def meters(sample: Mapping[str, Any]) -> list[Meter]:
    """Processor, memory, swap, pressure, file systems and battery of the machine."""
    cpu, memory = sample["cpu"], sample["memory"]
    lines = [_cpu(cpu), _store("Memory", memory["used_bytes"], memory["total_bytes"])]
    if memory["swap_total_bytes"]:
        lines.append(_store("Swap", memory["swap_used_bytes"], memory["swap_total_bytes"]))
    pressure = memory["pressure_percent"]
    if pressure is not None:
        text = quantity(pressure, "%", 1)
        lines.append(Meter("Memory pressure", pressure, text, level_of(pressure, 10, 40)))
    lines += [
        _store(disk["mount"], disk["used_bytes"], disk["total_bytes"], 80, 90)
        for disk in sample["disks"]
    ]
    if sample["battery"] is not None:
        lines.append(_battery(sample["battery"]))
    return lines


def _cpu(cpu: Mapping[str, Any]) -> Meter:
    value = cpu["utilization_percent"]
    parts = [
        quantity(value, "%"),
        f"{cpu['cores']} cores" if cpu["cores"] is not None else "",
        quantity(cpu["frequency_mhz"], "MHz") if cpu["frequency_mhz"] is not None else "",
        f"load {number(cpu['load_1m'], 2)}" if cpu["load_1m"] is not None else "",
    ]
    return Meter("CPU", value, " · ".join(part for part in parts if part), level_of(value))


def _store(
    label: str, used: float | None, total: float | None, medium: float = 50, high: float = 80
) -> Meter:
    value = share(used, total)
    text = size_pair(used, total)
    if value is not None:
        text = f"{quantity(value, '%')} · {text}"
    return Meter(label, value, text, level_of(value, medium, high))


def _battery(battery: Mapping[str, Any]) -> Meter:
    value = battery["level_percent"]
    text = quantity(value, "%") + (" · charging" if battery["charging"] else "")
    level = "none" if value is None else "high" if value < 15 else "normal"
    return Meter("Battery", value, text, level)


def bars(readings: Sequence[float | None]) -> list[Bar]:
    """The newest reading is the rightmost of sixty; what is not there yet is a gap."""
    latest = list(readings)[-BARS:]
    padded = [None] * (BARS - len(latest)) + latest
    return [Bar(place, value, level_of(value)) for place, value in enumerate(padded)]


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything that is drawn of one GPU."""

    gpu: Mapping[str, Any]
    gauges: list[Gauge]
    bars: list[Bar]
    bars_text: str
    mig: list[Meter]
    throttle: str
    is_small: bool


def panel(
    gpu: Mapping[str, Any], recent: Sequence[Mapping[str, Any]], *, is_small: bool = False
) -> Panel:
    """The panel of one GPU; `recent` holds the last two minutes of samples, oldest first."""
    readings = [reading_of(sample, gpu["index"]) for sample in recent]
    return Panel(
        gpu=gpu,
        gauges=gauges(gpu),
        bars=bars(readings),
        bars_text=bars_text(gpu["index"], readings),
        mig=[_slice(part) for part in gpu["mig"]],
        throttle=", ".join(reason.replace("_", " ") for reason in gpu["throttle_reasons"] or ()),
        is_small=is_small,
    )


def reading_of(sample: Mapping[str, Any], index: int) -> float | None:
    """The utilisation of one GPU in a sample; None when the GPU is not in it."""
    for gpu in sample["gpus"]:
        if gpu["index"] == index:
            value: float | None = gpu["utilization_percent"]
            return value
    return None


def bars_text(index: int, readings: Sequence[float | None]) -> str:
    """The chart in words."""
    known = [value for value in readings if value is not None]
    if not known:
        return f"GPU {index}, last 2 minutes: no reading"
    low, high = number(min(known)), number(max(known))
    return f"GPU {index}, last 2 minutes: between {low} and {high} %, now {number(known[-1])} %"


def _slice(part: Mapping[str, Any]) -> Meter:
    label = f"MIG {part['index']} · {part['profile'] or 'slice'}"
    return _store(label, part["memory_used_bytes"], part["memory_total_bytes"])


def processes(sample: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of the process table, most memory first."""
    index_of = {gpu["uuid"]: gpu["index"] for gpu in sample["gpus"]}
    index_of |= {part["uuid"]: gpu["index"] for gpu in sample["gpus"] for part in gpu["mig"]}
    found = sorted(sample["processes"], key=lambda item: -(item["memory_used_bytes"] or 0))
    return [
        {
            "gpu": str(index_of.get(item["gpu_uuid"], ABSENT)),
            "pid": str(item["pid"]),
            "name": item["name"] or ABSENT,
            "user": item["user"] or ABSENT,
            "container": item["container"] or ABSENT,
            "memory": size(item["memory_used_bytes"]),
        }
        for item in found
    ]


def names(sample: Mapping[str, Any]) -> str:
    """The GPUs of a machine: `8 × NVIDIA H200`."""
    counts = Counter(gpu["name"] or "GPU" for gpu in sample["gpus"])
    parts = [f"{count} × {name}" if count > 1 else name for name, count in counts.items()]
    return ", ".join(parts)
