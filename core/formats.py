"""Numbers as people read them; `static/js/format.js` says the same in the browser.

Values come in base units (bytes, watts, percent). An absent value is an em dash, never a zero.
"""

from decimal import ROUND_HALF_UP, Decimal

ABSENT = "—"
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("B/s", "kB/s", "MB/s", "GB/s", "TB/s")


def number(value: float | None, digits: int = 0) -> str:
    """`value` rounded half up as browsers do, thousands apart by a thin space."""
    if value is None:
        return ABSENT
    step = Decimal(1).scaleb(-digits)
    rounded = Decimal(value).quantize(step, rounding=ROUND_HALF_UP)
    return f"{rounded:,}".replace(",", "\u2009")


def quantity(value: float | None, unit: str, digits: int = 0) -> str:
    """`63 %`, `212 W`: a number, a no-break space and its unit; absent without unit."""
    return ABSENT if value is None else f"{number(value, digits)}\u00a0{unit}"


def size(value: float | None) -> str:
    """Bytes in binary units: whole ones below a GiB, one decimal from there on."""
    if value is None:
        return ABSENT
    power = _power(value, 1024, len(_BINARY))
    return quantity(value / 1024**power, _BINARY[power], 1 if power >= 3 else 0)


def size_pair(used: float | None, total: float | None) -> str:
    """`81.4 / 119.7 GiB`, both in the unit of the total."""
    if used is None or total is None:
        return size(used if total is None else total)
    power = _power(total, 1024, len(_BINARY))
    digits = 1 if power >= 3 else 0
    part = number(used / 1024**power, digits)
    return f"{part} / {quantity(total / 1024**power, _BINARY[power], digits)}"


def rate(value: float | None) -> str:
    """Bytes a second in decimal units, as network people count."""
    if value is None:
        return ABSENT
    power = _power(value, 1000, len(_DECIMAL))
    return quantity(value / 1000**power, _DECIMAL[power], 1 if power else 0)


def duration(seconds: float | None) -> str:
    """The two largest parts: `3 d 4 h`, `12 min 5 s`."""
    if seconds is None:
        return ABSENT
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or parts or unit == "s":
            parts.append(f"{count}\u00a0{unit}")
    return " ".join(parts[:2])


def share(used: float | None, total: float | None) -> float | None:
    """Percent of the total; None where one of the two is absent or the total is zero."""
    return None if used is None or not total else 100.0 * used / total


def level(value: float | None, medium: float = 50, high: float = 80) -> str:
    """The level that gives a reading its colour: none, normal, elevated or high."""
    if value is None:
        return "none"
    return "normal" if value < medium else "elevated" if value <= high else "high"


def _power(value: float, base: int, units: int) -> int:
    power = 0
    while power < units - 1 and abs(value) >= base ** (power + 1):
        power += 1
    return power
