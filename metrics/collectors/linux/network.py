"""Interfaces over time: counters of two frames → rates, with RDMA bytes where they belong.

RDMA traffic passes the kernel by, so /proc/net/dev does not count it. The port counters under
/sys/class/infiniband do: for RoCE they hold RDMA bytes alone and are added to the interface; an
InfiniBand port counts everything, IP included, and replaces the interface's own figures. The data
counters are in units of four bytes (Documentation/ABI/stable/sysfs-class-infiniband).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from metrics.collectors.allowance import Names
from metrics.collectors.health import frames_in
from metrics.collectors.linux import proc
from metrics.collectors.readings import MAX_WHOLE, Network

_PORT_LINE = re.compile(
    r"^/sys/class/infiniband/([^/\s]{1,64})/ports/([0-9]{1,4})/counters/"
    r"port_(rcv|xmit)_(data|packets):([0-9]{1,20})$",
    re.MULTILINE,
)
# Each port has four counters.
MAX_PORT_LINES = 4 * proc.MAX_INTERFACES
# Names of interfaces, and of RDMA ports with theirs, as the program reports them.
MAX_PAYLOAD = 64 * proc.MAX_INTERFACES
_LONGEST_PORT = 256
_FIELD = {
    ("rcv", "data"): ("rx_bytes", 4),
    ("xmit", "data"): ("tx_bytes", 4),
    ("rcv", "packets"): ("rx_packets", 1),
    ("xmit", "packets"): ("tx_packets", 1),
}
_NOTHING = proc.Counters(0, 0, 0, 0)


# Interfaces of a machine that starts a container every second come and go by hundreds.
MAX_NAMES = 1024
NAMES_SECONDS = 600.0


class NetworkFeed:
    """Remembers the counters of the frame before, and which interfaces are hardware.

    `excess` says what the last frame had beyond what is kept of one machine.
    """

    def __init__(self, interval_seconds: float) -> None:
        self.excess: str | None = None
        self._frame = 0
        self._names = Names(MAX_NAMES, frames_in(NAMES_SECONDS, interval_seconds))
        self._before: dict[str, proc.Counters] = {}
        self._uptime: float | None = None
        self._physical: frozenset[str] | None = None
        self._default: str | None = None
        self._ports: dict[str, tuple[str, str]] = {}

    def hardware(self, names: Iterable[str]) -> None:
        """The interfaces that have a device behind them."""
        self._physical = frozenset(islice(names, proc.MAX_INTERFACES)) or None

    def default_routes(self, words: Sequence[str]) -> None:
        """The IPv4 default routes: interface and metric in turn."""
        self._default = preferred(words)

    def port(self, payload: str) -> None:
        """An RDMA port: `device/port interface link-layer`."""
        words = payload[:_LONGEST_PORT].split()
        if len(words) == 3 and len(self._ports) < proc.MAX_INTERFACES:
            self._ports[words[0]] = (words[1], words[2])

    def networks(self, frame: str, uptime: float | None) -> tuple[Network, ...]:
        """Every interface of the frame; rates by the machine's own clock, so no delay bends them.

        The first frame has no rate, nor has an interface whose counters went backwards.
        """
        self._frame += 1
        now = self._with_rdma(self._kept(proc.networks(frame), frame), frame)
        self._note_refused(now)
        seconds = None
        if uptime is not None and self._uptime is not None and uptime > self._uptime:
            seconds = uptime - self._uptime
        before, physical = self._before, self._physical
        self._before, self._uptime = now, uptime
        found = []
        for name, counters in now.items():
            past = before.get(name)
            rx = tx = None
            if past is not None and seconds is not None:
                rx = _rate(past.rx_bytes, counters.rx_bytes, seconds)
                tx = _rate(past.tx_bytes, counters.tx_bytes, seconds)
            is_physical = None if physical is None else name in physical
            is_default = None if self._default is None else name == self._default
            rx_bytes, rx_packets, tx_bytes, tx_packets = counters
            found.append(
                Network(
                    name,
                    rx_bytes,
                    tx_bytes,
                    rx_packets,
                    tx_packets,
                    rx,
                    tx,
                    is_physical,
                    is_default,
                )
            )
        return tuple(found)

    def _kept(self, found: dict[str, proc.Counters], frame: str) -> dict[str, proc.Counters]:
        """Those of the interfaces that there is room for."""
        kept = {name: of for name, of in found.items() if self._names.take(name, self._frame)}
        self.excess = None
        if self._names.refused:
            self.excess = (
                f"more than {MAX_NAMES} names of interfaces within ten minutes: "
                "new ones are left out"
            )
        elif len(found) >= proc.MAX_INTERFACES:
            every = proc.interfaces(frame)
            if every > len(found):
                self.excess = f"{len(found)} of {every} interfaces are shown"
        return kept

    def _note_refused(self, now: Mapping[str, proc.Counters]) -> None:
        refused = [name for name, counters in now.items() if None in counters]
        if refused and self.excess is None:
            self.excess = f"counters of {refused[0]} beyond 2^63-1 are left out"

    def _with_rdma(self, found: dict[str, proc.Counters], frame: str) -> dict[str, proc.Counters]:
        if not self._ports or "\n/sys/class/infiniband/" not in frame:
            return found
        ports: dict[str, proc.Counters] = {}
        for line in islice(_PORT_LINE.finditer(frame), MAX_PORT_LINES):
            device, port, way, what, value = line.groups()
            name, factor = _FIELD[way, what]
            counters = ports.get(f"{device}/{port}", _NOTHING)
            ports[f"{device}/{port}"] = counters._replace(**{name: proc.counted(value, factor)})
        for port, counters in ports.items():
            interface, link = self._ports.get(port, ("", ""))
            if interface in found:
                found[interface] = (
                    _sum(found[interface], counters) if link == "Ethernet" else counters
                )
        return found


def preferred(words: Sequence[str]) -> str | None:
    """Of interfaces and their metrics in turn, the one that the kernel takes: the least metric."""
    routes = [
        (int(metric), place, name)
        for place, (name, metric) in enumerate(_pairs(words[: 2 * proc.MAX_INTERFACES]))
        if metric.isascii() and metric.isdigit() and len(metric) <= 10
    ]
    return min(routes)[2] if routes else None


def _pairs(words: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=False)


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return round((now - before) / seconds, 1)


def _sum(one: proc.Counters, other: proc.Counters) -> proc.Counters:
    return proc.Counters(*map(_plus, one, other))


def _plus(one: int | None, other: int | None) -> int | None:
    if one is None or other is None or one + other > MAX_WHOLE:
        return None
    return one + other
