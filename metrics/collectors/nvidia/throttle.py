"""Why a GPU runs slower than it could: the driver's bit mask and names → the names we show."""

from collections.abc import Mapping

# Bits of NVML's clocks event reasons (nvml.h, nvmlClocksEventReason*); "idle" (bit 0) is no
# throttling and is left out. The order is the order in which they are shown.
REASON_BITS = {
    "sw_power_cap": 0x004,
    "hw_slowdown": 0x008,
    "hw_thermal_slowdown": 0x040,
    "sw_thermal_slowdown": 0x020,
    "hw_power_brake_slowdown": 0x080,
    "sync_boost": 0x010,
    "applications_clocks_setting": 0x002,
    "display_clocks_setting": 0x100,
}


def from_mask(mask: int) -> tuple[str, ...]:
    """The names of the bits that are set."""
    return tuple(name for name, bit in REASON_BITS.items() if mask & bit)


def from_token(token: str) -> tuple[str, ...] | None:
    """The names of a mask printed as hexadecimal, `None` where it is not a mask."""
    if not token.startswith("0x") or len(token) > MAX_MASK_CHARACTERS:
        return None
    try:
        return from_mask(int(token, 16))
    except ValueError:
        return None


def from_states(states: Mapping[str, str]) -> tuple[str, ...] | None:
    """The names whose state is "Active"; `None` where the driver tells none of them."""
    told = {name: states[name] for name in REASON_BITS if states.get(name) in STATES}
    return tuple(name for name in told if told[name] == "Active") if told else None


# The driver's mask has 64 bits.
MAX_MASK_CHARACTERS = 18
STATES = frozenset({"Active", "Not Active"})
