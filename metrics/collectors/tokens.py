"""One printed value → a number or nothing, checked against what such a value can be.

Nothing raises. A value that says "not reported" is `None` in silence; any other value that is no
number, or a number that cannot be, is `None` too, is counted, and is logged once with its field.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

MIB = 1024 * 1024

# "This card has no such thing": nvidia-smi of drivers 352 to 610 (see tests/captures).
UNSUPPORTED = frozenset({"N/A", "[N/A]", "Not Supported", "[Not Supported]"})
# Known ways to say that a reading failed or is withheld.
FAILED = frozenset(
    {
        "",
        "-",
        "None",
        "null",
        "unknown",
        "Unsupported",
        "ERR!",
        "[Not Found]",
        "Not Found",
        "[Unknown Error]",
        "Unknown Error",
        "[GPU is lost]",
        "GPU is lost",
        "[GPU requires reset]",
        "GPU requires reset",
        "[Insufficient Permissions]",
        "Insufficient Permissions",
        "[Requested functionality has been deprecated]",
        "Requested functionality has been deprecated",
        "N/A (Secondary die)",
    }
)
NOT_REPORTED = UNSUPPORTED | FAILED

# What a value may be: lowest, highest, and the factor to our base unit. The maxima are far above
# any hardware; they only keep nonsense (2^64, 1e308) out of charts and sums.
PERCENT = (0.0, 100.0, 1)
CELSIUS = (-100.0, 300.0, 1)
WATTS = (0.0, 100_000.0, 1)
MEGAHERTZ = (0.0, 100_000.0, 1)
MEBIBYTES = (0.0, 2.0**30, MIB)
BYTES = (0.0, 2.0**50, 1)
Quantity = tuple[float, float, int]

UNITS: Mapping[str, float] = {
    "%": 1, "W": 1, "MHz": 1, "Mhz": 1, "C": 1, "°C": 1, "c": 1, "mW": 0.001, "GHz": 1000,
    "B": 1 / MIB, "KiB": 1 / 1024, "MiB": 1, "GiB": 1024, "KB": 1 / 1024, "MB": 1, "GB": 1024,
}  # fmt: skip
WITH_UNIT = re.compile(r"^\(?([-+]?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%°]+)\)?$")
MAX_REMEMBERED = 64
# No number that a tool prints is longer; what is longer is never converted.
MAX_NUMBER_CHARACTERS = 40


@dataclass(slots=True)
class Refusals:
    """Values that were refused: how many, and which were already said in the log."""

    count: int = 0
    seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, name: str, token: str) -> None:
        """Count one refused value and say it once; remembers a bounded number of them."""
        self.count += 1
        key = (name, token[:80])
        if key in self.seen or len(self.seen) >= MAX_REMEMBERED:
            return
        self.seen.add(key)
        logger.warning("refused value field=%s value=%r", name, token[:80])


def number(token: str, quantity: Quantity, name: str, refusals: Refusals) -> float | None:
    """The value of `token` in base units, or `None`; `name` is for the log alone."""
    try:
        value = float(token if len(token) <= MAX_NUMBER_CHARACTERS else "")
    except ValueError:
        return _odd(token, quantity, name, refusals)
    low, high, factor = quantity
    if low <= value <= high and token.isascii() and "_" not in token:
        return value * factor
    refusals.add(name, token)
    return None


def whole(token: str, quantity: Quantity, name: str, refusals: Refusals) -> int | None:
    """Like `number`, for values that are counted (bytes)."""
    value = number(token, quantity, name, refusals)
    return None if value is None else int(value)


def _odd(token: str, quantity: Quantity, name: str, refusals: Refusals) -> float | None:
    """A token that `float` refused: absent, a number with its unit, or nonsense."""
    token = token.strip()
    if token in NOT_REPORTED:
        return None
    match = WITH_UNIT.match(token) if len(token) <= MAX_NUMBER_CHARACTERS else None
    if match and match[2] in UNITS:
        value = float(match[1]) * UNITS[match[2]]
        if quantity[0] <= value <= quantity[1]:
            return value * quantity[2]
    refusals.add(name, token)
    return None


def words(text: str, limit: int = 300) -> str:
    """A tool's own words, fit to be shown: no control characters, one line, bounded."""
    kept = text[: limit * 4]
    if not kept.isprintable():
        kept = "".join(c if c.isprintable() else " " for c in kept)
    return " ".join(kept.split())[:limit]
