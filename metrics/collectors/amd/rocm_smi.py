"""`rocm-smi … --json`: AMD GPUs.

The keys changed with ROCm 4.3, 5.7, 6.0 and 6.1; `KEYS` lists all names of each value, newest
first (captures of the four are in tests/captures). All values are strings.
"""

from collections.abc import Mapping
from itertools import islice

from metrics.collectors.amd.json_output import MAX_GPUS, MAX_INDEX, load_json
from metrics.collectors.nvidia.values import text
from metrics.collectors.readings import Gpu
from metrics.collectors.tokens import (
    BYTES,
    CELSIUS,
    MEGAHERTZ,
    PERCENT,
    WATTS,
    Quantity,
    Refusals,
    number,
    whole,
)

ARGUMENTS = (
    "--showproductname --showuniqueid --showuse --showmeminfo vram --showtemp --showpower "
    "--showmaxpower --showfan --showclocks --json"
)
NAMES = ("Card Series", "Card series", "Device Name", "Card Model", "Card model")
UNIQUE_ID = ("Unique ID",)
KEYS: dict[str, tuple[tuple[str, ...], Quantity]] = {
    "utilization_percent": (("GPU use (%)",), PERCENT),
    "temperature_c": (
        (
            "Temperature (Sensor edge) (C)",
            "Temperature (Sensor junction) (C)",
            "Temperature (Sensor memory) (C)",
        ),
        CELSIUS,
    ),
    "power_watts": (
        (
            "Current Socket Graphics Package Power (W)",
            "Average Graphics Package Power (W)",
            "Average Socket Power (W)",
        ),
        WATTS,
    ),
    "power_limit_watts": (("Max Graphics Package Power (W)",), WATTS),
    "fan_percent": (("Fan speed (%)", "Fan Speed (%)"), PERCENT),
    "sm_clock_mhz": (("sclk clock speed:", "sclk clock speed"), MEGAHERTZ),
    "memory_clock_mhz": (("mclk clock speed:", "mclk clock speed"), MEGAHERTZ),
}
USED, TOTAL = "VRAM Total Used Memory (B)", "VRAM Total Memory (B)"


def parse(printed: str, refusals: Refusals) -> tuple[Gpu, ...]:
    """Every card, by its number; raises `ValueError` where there is no complete JSON."""
    document = load_json(printed)
    cards = document.items() if isinstance(document, dict) else ()
    found = (
        (int(key[4:]), {str(k): str(v) for k, v in card.items()})
        for key, card in cards
        if key[:4] == "card" and key[4:].isdigit() and key.isascii() and isinstance(card, dict)
        if len(key) <= 8 and int(key[4:]) <= MAX_INDEX
    )
    gpus = [_gpu(index, card, refusals) for index, card in islice(found, MAX_GPUS)]
    if not gpus:
        raise ValueError("no cards")
    return tuple(sorted(gpus, key=lambda gpu: gpu.index))


def _gpu(index: int, card: Mapping[str, str], refusals: Refusals) -> Gpu:
    values = {
        name: _first(card, keys, quantity, refusals) for name, (keys, quantity) in KEYS.items()
    }
    total = whole(card.get(TOTAL, ""), BYTES, TOTAL, refusals)
    return Gpu(
        index=index,
        uuid=_name(card, UNIQUE_ID),
        name=_name(card, NAMES, hexadecimal=False),
        memory_used_bytes=whole(card.get(USED, ""), BYTES, USED, refusals),
        memory_total_bytes=total,
        memory_kind=None if total is None else "dedicated",
        utilization_percent=values["utilization_percent"],
        temperature_c=values["temperature_c"],
        power_watts=values["power_watts"],
        power_limit_watts=values["power_limit_watts"],
        fan_percent=values["fan_percent"],
        sm_clock_mhz=values["sm_clock_mhz"],
        memory_clock_mhz=values["memory_clock_mhz"],
    )


def _first(
    card: Mapping[str, str], keys: tuple[str, ...], quantity: Quantity, refusals: Refusals
) -> float | None:
    for key in keys:
        value = number(card.get(key, ""), quantity, key, refusals)
        if value is not None:
            return value
    return None


def _name(
    card: Mapping[str, str], keys: tuple[str, ...], *, hexadecimal: bool = True
) -> str | None:
    """The first name told; ROCm 4.3 puts device numbers ("0x1002") where newer ones put names."""
    told = [name for name in (text(card.get(key, "")) for key in keys) if name]
    named = [name for name in told if hexadecimal or not name.startswith("0x")]
    return next(iter(named or told), None)
