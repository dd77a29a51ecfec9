"""`amd-smi static --json` and `amd-smi metric --json`: AMD GPUs where rocm-smi is absent.

The top level is a list (ROCm 6) or `{"gpu_data": […]}` (ROCm 7); a value is `{"value", "unit"}`
or a string such as "N/A". Only a truncated capture of the JSON is public, so the names below
follow AMD's documentation of the command: an absent name is `None`, never an error.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from metrics.collectors.amd.json_output import MAX_GPUS, MAX_INDEX, load_json
from metrics.collectors.nvidia.values import text
from metrics.collectors.readings import Gpu
from metrics.collectors.tokens import (
    CELSIUS,
    MEBIBYTES,
    MEGAHERTZ,
    PERCENT,
    WATTS,
    Quantity,
    Refusals,
    number,
)

Block = Mapping[str, Any]
# Sample field → where the metric document may hold it.
PATHS: dict[str, tuple[tuple[str, ...], Quantity]] = {
    "utilization_percent": (("usage/gfx_activity",), PERCENT),
    "temperature_c": (("temperature/edge", "temperature/hotspot", "temperature/mem"), CELSIUS),
    "power_watts": (("power/socket_power", "power/current_socket_power"), WATTS),
    "fan_percent": (("fan/usage",), PERCENT),
    "sm_clock_mhz": (("clock/gfx_0/clk", "clock/gfx/clk"), MEGAHERTZ),
    "memory_clock_mhz": (("clock/mem_0/clk", "clock/mem/clk"), MEGAHERTZ),
}
USED, TOTAL = "mem_usage/used_vram", "mem_usage/total_vram"
STATIC_NAME = ("asic/market_name", "board/product_name")
STATIC_ID = ("asic/asic_serial", "asic/serial")
STATIC_LIMIT = ("limit/max_power", "limit/socket_power_limit", "limit/power_limit")


def parse(metric: str, static: str, refusals: Refusals) -> tuple[Gpu, ...]:
    """Every GPU; raises `ValueError` where `metric` holds no complete JSON.

    `static` may be empty or broken: then names and limits are not reported.
    """
    facts = {}
    try:
        facts = dict(islice(_blocks(load_json(static)), MAX_GPUS))
    except ValueError:
        pass  # The live values are worth showing without a name.
    blocks = islice(_blocks(load_json(metric)), MAX_GPUS)
    gpus = [_gpu(i, block, facts.get(i, {}), refusals) for i, block in blocks]
    return tuple(sorted(gpus, key=lambda gpu: gpu.index))


def _blocks(document: Any) -> Iterator[tuple[int, Block]]:
    listed = document.get("gpu_data") if isinstance(document, dict) else document
    for block in listed if isinstance(listed, list) else []:
        index = block.get("gpu") if isinstance(block, dict) else None
        if isinstance(index, int) and 0 <= index <= MAX_INDEX:
            yield index, block


def _gpu(index: int, block: Block, facts: Block, refusals: Refusals) -> Gpu:
    values = {
        name: _value(block, paths, quantity, refusals) for name, (paths, quantity) in PATHS.items()
    }
    used = _value(block, (USED,), MEBIBYTES, refusals)
    total = _value(block, (TOTAL,), MEBIBYTES, refusals)
    return Gpu(
        index=index,
        uuid=_text(facts, STATIC_ID),
        name=_text(facts, STATIC_NAME),
        memory_used_bytes=None if used is None else int(used),
        memory_total_bytes=None if total is None else int(total),
        memory_kind=None if total is None else "dedicated",
        power_limit_watts=_value(facts, STATIC_LIMIT, WATTS, refusals),
        utilization_percent=values["utilization_percent"],
        temperature_c=values["temperature_c"],
        power_watts=values["power_watts"],
        fan_percent=values["fan_percent"],
        sm_clock_mhz=values["sm_clock_mhz"],
        memory_clock_mhz=values["memory_clock_mhz"],
    )


def _at(block: Any, path: str) -> Any:
    for key in path.split("/"):
        block = block.get(key) if isinstance(block, dict) else None
    return block


def _value(
    block: Block, paths: tuple[str, ...], quantity: Quantity, refusals: Refusals
) -> float | None:
    for path in paths:
        told = _at(block, path)
        if isinstance(told, dict):
            told = f"{told.get('value')} {told.get('unit') or ''}".strip()
        if told is None or isinstance(told, (list, bool)):
            continue
        value = number(str(told), quantity, path, refusals)
        if value is not None:
            return value
    return None


def _text(block: Block, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        told = _at(block, path)
        if isinstance(told, str) and text(told) is not None:
            return text(told)
    return None
