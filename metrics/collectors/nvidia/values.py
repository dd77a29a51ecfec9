"""What nvidia-smi says about one GPU, whichever of its formats said it.

The CSV stream and the XML both become `field name → token`, under nvidia-smi's own query names;
`convert` makes a value of each token, `reading` puts the values of one GPU together. The memory
stays undecided there: whether it is the machine's own (unified) can only be said beside the
machine's memory, which `gpu_of` does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from metrics.collectors.nvidia import throttle
from metrics.collectors.readings import Gpu, Memory, MigDevice
from metrics.collectors.tokens import (
    CELSIUS,
    MEBIBYTES,
    MEGAHERTZ,
    NOT_REPORTED,
    PERCENT,
    UNSUPPORTED,
    WATTS,
    Quantity,
    Refusals,
    number,
    whole,
)

# A unified GPU whose driver does report a total reports the machine's, less what firmware keeps.
UNIFIED_TOLERANCE = 0.10
# Of fan, memory clock, power limit and MIG mode a GB10 or Orin reports none; a card has most.
DISCRETE_SIGNS = 2


@dataclass(slots=True)
class Reading:
    """One GPU as nvidia-smi reports it; `memory_unsupported` when it says it has no memory.

    Not frozen: hundreds are made each second, and a frozen one costs three times as much.
    """

    index: int
    uuid: str | None
    name: str | None
    utilization_percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    memory_unsupported: bool
    temperature_c: float | None
    power_watts: float | None
    power_limit_watts: float | None
    fan_percent: float | None
    sm_clock_mhz: float | None
    memory_clock_mhz: float | None
    throttle_reasons: tuple[str, ...] | None
    mig_mode: str | None


class Total(NamedTuple):
    """The memory's size; `is_unsupported` tells "has none" from "could not be read"."""

    size_bytes: int | None
    is_unsupported: bool


Converter = Callable[[str], Any]


def _numbers(quantity: Quantity) -> Callable[[str, Refusals], Converter]:
    return lambda field, refusals: lambda token: number(token, quantity, field, refusals)


def _bytes(field: str, refusals: Refusals) -> Converter:
    return lambda token: whole(token, MEBIBYTES, field, refusals)


def _total(field: str, refusals: Refusals) -> Converter:
    return lambda token: Total(
        whole(token, MEBIBYTES, field, refusals), token.strip() in UNSUPPORTED
    )


def _mask(field: str, refusals: Refusals) -> Converter:
    return throttle.from_token


# Field → what makes the converter of its tokens. Fields that are not listed are text.
CONVERTERS: dict[str, Callable[[str, Refusals], Converter]] = {
    "utilization.gpu": _numbers(PERCENT),
    "memory.used": _bytes,
    "memory.total": _total,
    "temperature.gpu": _numbers(CELSIUS),
    "power.draw": _numbers(WATTS),
    "power.draw.instant": _numbers(WATTS),
    "power.limit": _numbers(WATTS),
    "enforced.power.limit": _numbers(WATTS),
    "fan.speed": _numbers(PERCENT),
    "clocks.current.sm": _numbers(MEGAHERTZ),
    "clocks.current.memory": _numbers(MEGAHERTZ),
    "clocks_event_reasons.active": _mask,
    "clocks_throttle_reasons.active": _mask,
}
NO_TOTAL = Total(None, False)


def converter(field: str, refusals: Refusals) -> Converter:
    """What makes a value of this field's tokens."""
    make = CONVERTERS.get(field)
    return text if make is None else make(field, refusals)


def reading(values: Mapping[str, Any], index: int) -> Reading:
    """The values of one GPU put together; a missing field is not reported."""
    get = values.get
    total = get("memory.total", NO_TOTAL)
    # power.draw is the average; some cards and drivers report the instant alone.
    power, limit = get("power.draw"), get("power.limit")
    return Reading(
        index,
        get("uuid"),
        get("name"),
        get("utilization.gpu"),
        get("memory.used"),
        total.size_bytes,
        total.is_unsupported,
        get("temperature.gpu"),
        get("power.draw.instant") if power is None else power,
        get("enforced.power.limit") if limit is None else limit,
        get("fan.speed"),
        get("clocks.current.sm"),
        get("clocks.current.memory"),
        reasons(values),
        get("mig.mode.current"),
    )


def reasons(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Throttle reasons from the mask, or from the single states; both new and old names."""
    for prefix in ("clocks_event_reasons.", "clocks_throttle_reasons."):
        told: tuple[str, ...] | None = values.get(prefix + "active")
        if told is None and prefix + "sw_power_cap" in values:
            told = throttle.from_states(
                {name: values.get(prefix + name) or "" for name in throttle.REASON_BITS}
            )
        if told is not None:
            return told
    return None


def text(token: str) -> str | None:
    """A name or identifier as reported, bounded, without control characters."""
    token = token.strip()
    if token in NOT_REPORTED:
        return None
    return token[:200] if token.isprintable() else "".join(filter(str.isprintable, token))[:200]


def is_unified(told: Reading, memory: Memory) -> bool:
    """Whether the GPU computes in the machine's own memory, as a GB10 does.

    It says that it has no memory of its own (not: that a reading failed), or none, or as much as
    the machine – and nothing that only a card has speaks against it: a 24 GiB card in a 24 GiB
    machine is a coincidence. Never decided by name.
    """
    total, machine = told.memory_total_bytes, memory.total_bytes
    if not told.memory_unsupported and total is None:
        return False
    if total and (not machine or abs(total - machine) > UNIFIED_TOLERANCE * machine):
        return False
    signs = (told.fan_percent, told.memory_clock_mhz, told.power_limit_watts, told.mig_mode)
    return sum(sign is not None for sign in signs) < DISCRETE_SIGNS


def gpu_of(told: Reading, memory: Memory, mig: tuple[MigDevice, ...]) -> Gpu:
    """The GPU of a sample: the reading beside the machine's memory and the GPU's slices."""
    unified = is_unified(told, memory)
    used, total = told.memory_used_bytes, told.memory_total_bytes
    if unified:
        used, total = memory.used_bytes, memory.total_bytes
    elif total == 0:
        # A card without memory is no card: the reading means nothing.
        used, total = None, None
    known = unified or total is not None or used is not None
    return Gpu(
        index=told.index,
        uuid=told.uuid,
        name=told.name,
        utilization_percent=told.utilization_percent,
        memory_used_bytes=used,
        memory_total_bytes=total,
        memory_kind=("unified" if unified else "dedicated") if known else None,
        temperature_c=told.temperature_c,
        power_watts=told.power_watts,
        power_limit_watts=told.power_limit_watts,
        fan_percent=told.fan_percent,
        sm_clock_mhz=told.sm_clock_mhz,
        memory_clock_mhz=told.memory_clock_mhz,
        throttle_reasons=told.throttle_reasons,
        mig=mig,
    )
