"""What each interface has carried since its machine was connected.

A session begins with the first sample of a link and ends with the link. A keeper keeps per machine
the counters from which it counts; a counter that goes back – the interface was reset – goes on
where it was, and an interface that appears later counts from zero. The counters are written to
Redis when they change and once a minute, because Redis may forget: `dgx:session:<id>`, as JSON.
Readers put them beside the newest sample (`store.session`). No number leaves 64 bits, whatever a
machine counts: JSON has no more. Pure but for the lock.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from core.background import isolation
from metrics.collectors.readings import MAX_WHOLE, Network, Sample, iso_utc

# Names of interfaces that are remembered beyond those of the newest sample.
MAX_NAMES = 1024
COUNTERS = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
REPEAT_SECONDS = 60.0
# Over all resets of an interface; as much again has room for what it counts then.
MOST_CARRIED = MAX_WHOLE // 2

Counts = tuple[int | None, ...]


@dataclass(slots=True)
class _Session:
    token: object
    start_time: str
    default: str | None = None
    # Interface → the counters from which it counts; below zero after a reset.
    base: dict[str, Counts] = field(default_factory=dict)
    last: dict[str, Counts] = field(default_factory=dict)
    written: float = float("-inf")

    def add(self, networks: Sequence[Network]) -> None:
        """Take the counters of one sample; what changes is to be written at once."""
        is_first = not self.last
        for network in networks:
            name, now = network.interface, _counts(network)
            if network.is_default and name != self.default:
                self.default, self.written = name, float("-inf")
            if name not in self.base:
                self.base[name] = now if is_first else (0,) * len(COUNTERS)
                self.written = float("-inf")
            elif _went_back(self.last[name], now):
                self.base[name] = _shifted(self.base[name], self.last[name])
                self.written = float("-inf")
            self.last[name] = now
        if len(self.base) > MAX_NAMES:
            self._forget({self.default, *(network.interface for network in networks)})

    def _forget(self, present: Collection[str | None]) -> None:
        """Let go of what is no longer there: what comes and goes by thousands is no hardware."""
        for name in [name for name in self.base if name not in present]:
            del self.base[name], self.last[name]

    def encoded(self) -> bytes:
        body = {"start_time": self.start_time, "default": self.default, "base": self.base}
        return orjson.dumps(body)


class Sessions:
    """The sessions of one keeper's machines. Safe from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[UUID, _Session] = {}

    def note(self, connection_id: UUID, token: object, sample: Sample) -> None:
        """One sample; another `token` than before means another session."""
        with self._lock:
            session = self._of.get(connection_id)
            if session is None or session.token is not token:
                session = _Session(token, iso_utc(sample.recorded_at))
                self._of[connection_id] = session
            session.add(sample.networks)

    def due(self, ids: Collection[UUID], now: float | None = None) -> dict[UUID, bytes]:
        """What has to be written of these machines; `written` says that it was.

        One that cannot be encoded is left out, and the log names it.
        """
        before = (time.monotonic() if now is None else now) - REPEAT_SECONDS
        found: dict[UUID, bytes] = {}

        def take(machine: UUID) -> None:
            found[machine] = self._of[machine].encoded()

        with self._lock:
            mine = [id for id in ids if id in self._of and self._of[id].written < before]
            isolation.each(mine, take, name="what was carried by")
        return found

    def written(self, ids: Iterable[UUID], now: float | None = None) -> None:
        """These are in Redis."""
        at = time.monotonic() if now is None else now
        with self._lock:
            for id in ids:
                self._of[id].written = at


def _counts(network: Network) -> Counts:
    return tuple(getattr(network, name) for name in COUNTERS)


def _went_back(last: Counts, now: Counts) -> bool:
    pairs = zip(last, now, strict=True)
    return any(a is not None and b is not None and b < a for a, b in pairs)


def _shifted(base: Counts, last: Counts) -> Counts:
    """All counters of an interface are reset together: each goes on from what it had."""
    return tuple(map(_shifted_one, base, last))


def _shifted_one(base: int | None, last: int | None) -> int | None:
    if base is None or last is None:
        return None
    # What no interface can have carried is nonsense, and counts anew from here.
    return base - last if last - base <= MOST_CARRIED else 0


def since(began: Mapping[str, Any], networks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What was written of a session, and a sample's interfaces → what they carried in it."""
    base = began["base"]
    return {
        "start_time": began["start_time"],
        "default": began["default"],
        "networks": {
            one["interface"]: _totals(base[one["interface"]], one)
            for one in networks
            if one["interface"] in base
        },
    }


def _totals(base: Sequence[int | None], now: Mapping[str, Any]) -> dict[str, int | None]:
    """By the names of a sample; None where nothing is told, or nothing that can be."""
    return {name: _total(b, now[name]) for name, b in zip(COUNTERS, base, strict=True)}


def _total(base: int | None, now: int | None) -> int | None:
    if base is None or now is None or now - base > MAX_WHOLE:
        return None
    return now - base
