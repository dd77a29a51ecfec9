"""What the processes wrote down during a trial: samples, events, windows, all in Unix time."""

import itertools
import math
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import redis

from tests.faults.site import Site


class Seen(NamedTuple):
    """One sample: when the keeper received it, and its number."""

    at: float
    seq: int


@dataclass(frozen=True)
class Event:
    """A change of a machine's state, as its history tells it."""

    at: float
    status: str
    reason: str


class Samples:
    """Collects every sample of some machines from Redis, which itself keeps only the last 60."""

    def __init__(self, redis_url: str, ids: Collection[UUID]) -> None:
        self.seen: dict[UUID, list[Seen]] = {id: [] for id in ids}
        self.epochs: dict[UUID, list[int]] = {id: [] for id in ids}
        self._client = redis.Redis.from_url(redis_url, socket_timeout=2)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)
        self._client.close()

    def times(self, machine: UUID, since: float = 0.0, before: float = math.inf) -> list[float]:
        """When this machine's samples were received, in that span."""
        return [one.at for one in self.seen[machine] if since <= one.at < before]

    def gaps(self, ids: Collection[UUID], since: float, before: float = math.inf) -> list[float]:
        """Seconds between neighbouring samples of each machine."""
        return [gap for id in ids for gap in differences(self.times(id, since, before))]

    def have_all(self, count: int = 1, since: float = 0.0) -> bool:
        """Whether every machine has so many samples since then."""
        return all(len(self.times(id, since)) >= count for id in self.seen)

    def _loop(self) -> None:
        while not self._stopping.wait(0.2):
            try:
                for id in self.seen:
                    self._read(id)
            except redis.RedisError:
                continue

    def _read(self, machine: UUID) -> None:
        with self._client.pipeline() as pipe:
            pipe.get(f"dgx:epoch:{machine}")
            pipe.lrange(f"dgx:recent:{machine}", 0, -1)
            epoch, texts = pipe.execute()
        if epoch is not None and self.epochs[machine][-1:] != [int(epoch)]:
            self.epochs[machine].append(int(epoch))
        last = self.seen[machine][-1] if self.seen[machine] else None
        fresh: list[Seen] = []
        for text in texts:
            sample = orjson.loads(text)
            one = Seen(datetime.fromisoformat(sample["recorded_at"]).timestamp(), sample["seq"])
            if one == last:
                break
            fresh.append(one)
        self.seen[machine] += reversed(fresh)


def differences(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, by nearest rank."""
    assert values, "nothing was measured"
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def events(site: Site, machine: UUID, since: float = 0.0) -> list[Event]:
    """The history of one machine, oldest first."""
    rows = site.query(
        "SELECT at, to_status, reason FROM connections_connectionevent "
        "WHERE connection_id = %s ORDER BY id",
        machine,
    )
    told = [Event(at.timestamp(), status, reason) for at, status, reason in rows]
    return [event for event in told if event.at >= since]


def state(site: Site, machine: UUID) -> tuple[str, str]:
    """Status and reason as they stand now."""
    rows = site.query("SELECT status, reason FROM connections_connection WHERE id = %s", machine)
    return rows[0][0], rows[0][1]


def windows(site: Site, machine: UUID) -> dict[float, int]:
    """The saved windows of a machine: end → how many readings. Fails if one is there twice."""
    rows: list[tuple[Any, ...]] = site.query(
        "SELECT at, readings FROM metrics_raw_machine r JOIN metrics_machine m ON m.id = r.machine "
        "WHERE m.connection_id = %s ORDER BY at",
        machine,
    )
    saved = {at.timestamp(): readings for at, readings in rows}
    assert len(saved) == len(rows), "a window was saved twice"
    return saved


def now() -> float:
    """The clock that all records use."""
    return time.time()
