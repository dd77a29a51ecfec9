"""The kernel's files as one frame prints them: uptime, loadavg, stat, meminfo, pressure, net/dev.

Each value is looked up where it stands instead of splitting the whole text: a frame of a large
machine is tens of kilobytes and comes every two seconds. Formats: proc(5).
"""

from typing import NamedTuple

from metrics.collectors.readings import MAX_WHOLE, Memory

KIB = 1024
MAX_INTERFACES = 512
# Lines of net/dev that are looked at: two of headings, and some of another form.
MAX_NETWORK_LINES = 2 * MAX_INTERFACES
# What a line of counters, and what one counter, takes at most.
MAX_LINE = 1024
MAX_DIGITS = 20
# meminfo up to and beyond the swap lines, with every line that any kernel puts between.
MEMINFO_CHARACTERS = 2048


class CpuTimes(NamedTuple):
    """Clock ticks since boot of all processors together."""

    busy: int
    total: int


class Counters(NamedTuple):
    """What one interface carried since it came up; None for a number that is refused."""

    rx_bytes: int | None
    rx_packets: int | None
    tx_bytes: int | None
    tx_packets: int | None


def uptime(text: str) -> float | None:
    """Seconds since boot: the first line of the frame, "up idle"."""
    first = text.partition("\n")[0][:MAX_LINE].split()
    return _float(first[0]) if len(first) == 2 else None


def load_1m(text: str) -> float | None:
    """The one-minute load: the line "1m 5m 15m running/all last_pid"."""
    for line in text.split("\n", 2)[:2]:
        words = line[:MAX_LINE].split()
        if len(words) == 5 and "/" in words[3]:
            return _float(words[0])
    return None


def cpu_times(text: str) -> CpuTimes | None:
    """The "cpu" line; waiting for I/O is idle time, guests are already inside user and nice."""
    line = _line(text, "cpu ")
    words = line.split()[:8] if line is not None else []
    if len(words) < 4 or not all(map(_is_counter, words)):
        return None
    ticks = [int(word) for word in words]
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    return CpuTimes(busy=sum(ticks) - idle, total=sum(ticks))


def cores(text: str) -> int | None:
    """Processors that are online: the "cpuN" lines."""
    lines = text.count("\ncpu") + text.startswith("cpu")
    return lines - 1 if lines > 1 else None


def utilization_percent(before: CpuTimes | None, now: CpuTimes | None) -> float | None:
    """Busy share between two frames; counters that went backwards tell nothing."""
    if before is None or now is None or now.total <= before.total:
        return None
    share = 100 * (now.busy - before.busy) / (now.total - before.total)
    return round(min(max(share, 0.0), 100.0), 1)


def memory(text: str) -> Memory:
    """Main memory and swap.

    Kernels before 3.14 have no MemAvailable: then it is not reported, and what is used is what
    is neither free nor cache, as free(1) told it on those kernels.
    """
    pressure = pressure_percent(text)
    # The lines that are read stand within the first dozens; a shorter text is searched faster.
    start = max(text.find("MemTotal:"), 0)
    text = text[start : start + MEMINFO_CHARACTERS]
    total, available = _kib(text, "MemTotal:"), _kib(text, "MemAvailable:")
    rest = available
    if available is None:
        parts = [_kib(text, name) for name in ("MemFree:", "Buffers:", "Cached:")]
        rest = None if None in parts else sum(part or 0 for part in parts)
    swap_total, swap_free = _kib(text, "SwapTotal:"), _kib(text, "SwapFree:")
    return Memory(
        total_bytes=total,
        used_bytes=_minus(total, rest),
        available_bytes=available,
        swap_total_bytes=swap_total,
        swap_used_bytes=_minus(swap_total, swap_free),
        pressure_percent=pressure,
    )


def pressure_percent(text: str) -> float | None:
    """Share of the last ten seconds in which some task waited for memory."""
    line = _line(text, "some avg10=")
    value = _float(line.partition(" ")[0]) if line is not None else None
    return value if value is not None and value <= 100 else None


def networks(text: str) -> dict[str, Counters]:
    """Interface → counters, in the kernel's order; lines of another form are left out."""
    start = text.find("\nInter-|")
    start = 0 if start < 0 and text.startswith("Inter-|") else start
    found: dict[str, Counters] = {}
    for line in _first_lines(text, start) if start >= 0 else []:
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or len(words) != 16:
            continue
        told = [words[0], words[1], words[8], words[9]]
        name = name.strip()
        if all(map(_is_counter, told)) and name.isprintable() and 0 < len(name) <= 64:
            if len(found) >= MAX_INTERFACES:
                break
            found[name] = Counters(*map(counted, told))
    return found


def counted(digits: str, factor: int = 1) -> int | None:
    """The counter that stands there, times `factor`; None beyond `MAX_WHOLE`."""
    count = int(digits) * factor
    return count if count <= MAX_WHOLE else None


def interfaces(text: str) -> int:
    """How many lines of net/dev there are, read or not."""
    start = max(text.find("\nInter-|"), 0)
    end = text.find("\n/", start)
    return max(text.count("\n", start + 1, end if end >= 0 else len(text)) - 1, 0)


def _first_lines(text: str, start: int) -> list[str]:
    """The lines from there on, as many and as long as are looked at."""
    lines = text[start:].split("\n", MAX_NETWORK_LINES)[:MAX_NETWORK_LINES]
    return [line if len(line) <= MAX_LINE else "" for line in lines]


def _is_counter(word: str) -> bool:
    return word.isdigit() and word.isascii() and len(word) <= MAX_DIGITS


def _line(text: str, start: str) -> str | None:
    """What follows `start` at the beginning of a line, to the line's end."""
    if text.startswith(start):
        at = 0
    else:
        at = text.find("\n" + start) + 1
        if at == 0:
            return None
    end = text.find("\n", at)
    return text[at + len(start) : end if end >= 0 else len(text)][:MAX_LINE]


def _kib(text: str, name: str) -> int | None:
    line = _line(text, name)
    words = line.split() if line is not None else []
    if not words or not (words[0].isdigit() and words[0].isascii() and len(words[0]) < 16):
        return None
    return int(words[0]) * KIB


def _minus(total: int | None, rest: int | None) -> int | None:
    if total is None or rest is None:
        return None
    return max(total - rest, 0)


def _float(word: str) -> float | None:
    """A plain decimal; everything else, also "nan" and "inf", is nothing."""
    if not word.replace(".", "", 1).isdigit() or not word.isascii() or len(word) > 20:
        return None
    return float(word)
