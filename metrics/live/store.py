"""The samples as they come in: into Redis, to the browsers, and into the windows to be saved.

Redis holds per machine (database 2; all of it can be lost):

    dgx:last:<id>      the newest sample, JSON as in section 4.1 of the contract
    dgx:recent:<id>    a list of the last 60, newest first
    dgx:unsaved:<id>   the same 60 as compact readings (`window.encode`), from which the successor
                       of a killed keeper takes what was not yet in PostgreSQL
    dgx:session:<id>   what its interfaces count from since it was connected
    (`metrics/live/sessions.py`) dgx:epoch:<id>     the epoch of the keeper that wrote last; an
    older one is refused

One script call writes them all for one flush. While Redis is down nothing is pushed, readings still
go into the windows, and the next attempt waits a little longer each time, because a Redis that
hangs costs a timeout per attempt.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import redis
from django.conf import settings
from redis.exceptions import RedisError

from core import topics
from core.background import isolation
from core.errors import Unavailable
from core.redis_patience import ONCE, patience
from metrics.collectors.readings import Sample
from metrics.history.buffer import Unsaved, unsaved
from metrics.history.window import Reading, decode, encode, reading_of
from metrics.live import pace, sessions
from metrics.live.sessions import Sessions

logger = logging.getLogger(__name__)

RECENT = 60
# A machine that nobody watches any more is forgotten after a week.
KEEP_SECONDS = 7 * 24 * 3600
# More than a round trip, less than what would delay the other machines' frames noticeably.
LONGEST_PAUSE_SECONDS = 8.0
# Readers come by the second; one line a minute says as much as sixty.
SAY_AGAIN_SECONDS = 60.0
_said_at = -SAY_AGAIN_SECONDS

# ARGV: ring length, seconds to keep, then id, epoch, sample and reading of each sample. Answers
# the ids whose sample was refused because a newer keeper has written.
_WRITE = """
local refused = {}
local length, keep = tonumber(ARGV[1]), ARGV[2]
for i = 3, #ARGV, 4 do
  local id, epoch = ARGV[i], tonumber(ARGV[i + 1])
  local epoch_key, recent, unsaved = 'dgx:epoch:' .. id, 'dgx:recent:' .. id, 'dgx:unsaved:' .. id
  if epoch < tonumber(redis.call('GET', epoch_key) or '0') then
    refused[#refused + 1] = id
  else
    redis.call('SET', epoch_key, epoch, 'EX', keep)
    redis.call('SET', 'dgx:last:' .. id, ARGV[i + 2], 'EX', keep)
    redis.call('LPUSH', recent, ARGV[i + 2])
    redis.call('LTRIM', recent, 0, length - 1)
    redis.call('EXPIRE', recent, keep)
    redis.call('LPUSH', unsaved, ARGV[i + 3])
    redis.call('LTRIM', unsaved, 0, length - 1)
    redis.call('EXPIRE', unsaved, keep)
  end
end
return refused
"""


class RedisUnavailable(Unavailable):
    code = "redis_unavailable"


@lru_cache(maxsize=1)
def _client(url: str, timeout: float) -> redis.Redis:
    """The process's connections to Redis; a broken one is an error once, not a hidden wait."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=ONCE,
    )


def _redis() -> redis.Redis:
    return _client(settings.REDIS_SAMPLES_URL, settings.REDIS_TIMEOUT_SECONDS)


# --- Reading -----------------------------------------------------------------------------------


def latest_json(ids: Sequence[UUID], *, strict: bool = False) -> dict[UUID, bytes]:
    """The newest sample of each machine that has one, as JSON.

    Redis down: nothing, or `Unavailable` with `strict`.
    """
    if not ids:
        return {}
    try:
        with patience():
            values: Any = _redis().mget([f"dgx:last:{id}" for id in ids])
    except (RedisError, OSError) as error:
        _note_unreadable(error, strict=strict)
        return {}
    return {id: value for id, value in zip(ids, values, strict=True) if value is not None}


def latest(connection_id: UUID, *, strict: bool = False) -> dict[str, Any] | None:
    """The newest sample of one machine; otherwise as `latest_json`."""
    text = latest_json([connection_id], strict=strict).get(connection_id)
    return orjson.loads(text) if text is not None else None


def recent(connection_id: UUID, *, strict: bool = False) -> list[dict[str, Any]]:
    """The last 60 samples of one machine, oldest first; otherwise as `latest_json`."""
    try:
        with patience():
            values: Any = _redis().lrange(f"dgx:recent:{connection_id}", 0, -1)
    except (RedisError, OSError) as error:
        _note_unreadable(error, strict=strict)
        return []
    return [orjson.loads(value) for value in reversed(values)]


def session(connection_id: UUID, *, strict: bool = False) -> dict[str, Any] | None:
    """What the interfaces of a machine carried since it was connected; otherwise as `latest_json`.

    `{"start_time", "default", "networks": {interface: {"rx_bytes", "tx_bytes", "rx_packets",
    "tx_packets"}}}`: `default` is the interface of the default route, None where it is not known.
    """
    keys = [f"dgx:session:{connection_id}", f"dgx:last:{connection_id}"]
    try:
        with patience():
            began, last = _redis().mget(keys)
    except (RedisError, OSError) as error:
        _note_unreadable(error, strict=strict)
        return None
    if began is None or last is None:
        return None
    return sessions.since(orjson.loads(began), orjson.loads(last)["networks"])


def unsaved_readings(ids: Sequence[UUID]) -> dict[UUID, list[Reading]]:
    """What the keepers of these machines read in the last two minutes, saved or not.

    Redis down: raises as redis-py does.
    """
    return {
        id: [reading for text in texts if (reading := decode(text)) is not None]
        for id, texts in _rings("unsaved", ids).items()
    }


def unsaved_samples(ids: Sequence[UUID]) -> dict[UUID, Iterable[dict[str, Any]]]:
    """The same as whole samples; newest first, otherwise as `unsaved_readings`.

    Each machine's are read from JSON when they are asked for: what is none fails for it alone.
    """
    rings = _rings("recent", ids)
    return {id: map(orjson.loads, texts) for id, texts in rings.items()}


def _rings(kind: str, ids: Sequence[UUID]) -> dict[UUID, list[bytes]]:
    with patience(), _redis().pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.lrange(f"dgx:{kind}:{id}", 0, -1)
        answers: Any = pipe.execute()
    return dict(zip(ids, answers, strict=True))


def _note_unreadable(error: Exception, *, strict: bool) -> None:
    global _said_at
    if time.monotonic() - _said_at > SAY_AGAIN_SECONDS:
        _said_at = time.monotonic()
        logger.warning("samples cannot be read: %s", error)
    if strict:
        raise RedisUnavailable("Redis does not answer.") from error


# --- Writing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pending:
    connection_id: UUID
    team_id: UUID
    epoch: int
    reading: Reading
    # Made when it is added: what cannot be encoded ends its own stream and no other's push.
    body: bytes
    encoded: bytes


class Recorder:
    """Takes the samples of one keeper. One thread adds and flushes; others may do so too."""

    def __init__(self, windows: Unsaved = unsaved, of_links: Sessions | None = None) -> None:
        self.refused = 0
        self.dropped = 0
        self._windows = windows
        self.sessions = of_links or Sessions()
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []
        # (id, epoch) → last number given out; absent until Redis has told where to go on.
        self._numbers: dict[tuple[UUID, int], int] = {}
        self._pause = 0.0
        self._not_before = 0.0

    def add(self, connection_id: UUID, team_id: UUID, epoch: int, sample: Sample) -> None:
        """Take one sample; nothing is sent before the next `flush`."""
        body = _body(sample)
        reading = reading_of(sample)
        pending = _Pending(connection_id, team_id, epoch, reading, body, encode(reading))
        with self._lock:
            self._pending.append(pending)

    def flush(self, holdings: Mapping[UUID, int]) -> None:
        """Write and push what was added, for the machines that are held under the same epoch.

        Never raises for a Redis that is down; blocks at most its timeout.
        """
        with self._lock:
            pending, self._pending = self._pending, []
        held = [one for one in pending if holdings.get(one.connection_id) == one.epoch]
        isolation.each(
            held,
            lambda one: self._windows.add(one.connection_id, one.reading),
            name="keeping a reading of",
            key=lambda one: one.connection_id,
            rests=False,
        )
        if not held:
            return
        if time.monotonic() < self._not_before:
            self.dropped += len(held)
            return
        try:
            self._learn_numbers({(one.connection_id, one.epoch) for one in held})
            self._push(held)
            self._recovered()
        except (RedisError, OSError) as error:
            self.dropped += len(held)
            self._failed(error)

    def _learn_numbers(self, machines: Iterable[tuple[UUID, int]]) -> None:
        """Read where numbering goes on, for machines that are seen first under this epoch."""
        new = [machine for machine in machines if machine not in self._numbers]
        if not new:
            return
        answers: Any = _redis().mget([f"dgx:last:{connection_id}" for connection_id, _ in new])
        for machine, last in zip(new, answers, strict=True):
            for other in [key for key in self._numbers if key[0] == machine[0]]:
                del self._numbers[other]
            self._numbers[machine] = _number_of(last)

    def _push(self, held: Sequence[_Pending]) -> None:
        arguments: list[Any] = [RECENT, KEEP_SECONDS]
        items: dict[UUID, list[tuple[str, topics.Item]]] = defaultdict(list)
        for one in held:
            machine = str(one.connection_id)
            text = self._numbered(one, machine)
            arguments += (machine, one.epoch, text, one.encoded)
            item = topics.Item(f"{topics.CONNECTION_PREFIX}{machine}", "sample", fit(text))
            items[one.team_id].append((machine, item))
        answer: Any = _write_script(_redis())(args=arguments)
        refused = {name.decode() for name in answer}
        self.refused += len(refused)
        try:
            # Who hears of a sample may look at once for what was carried until then.
            self._write_sessions([one.connection_id for one in held], refused)
        finally:
            # Whatever becomes of it, these samples are in Redis, and are told.
            for team_id, of_team in items.items():
                topics.publish(
                    team_id, [item for machine, item in of_team if machine not in refused]
                )

    def _write_sessions(self, ids: Iterable[UUID], refused: Collection[str]) -> None:
        due = self.sessions.due([id for id in ids if str(id) not in refused])
        if not due:
            return
        with _redis().pipeline(transaction=False) as pipe:
            for id, text in due.items():
                pipe.set(f"dgx:session:{id}", text, ex=KEEP_SECONDS)
            pipe.execute()
        self.sessions.written(due)

    def _numbered(self, one: _Pending, machine: str) -> bytes:
        key = (one.connection_id, one.epoch)
        number = self._numbers[key] = self._numbers[key] + 1
        return b'{"connection_id":"%s","seq":%d,%s' % (machine.encode(), number, one.body[1:])

    def _failed(self, error: Exception) -> None:
        if self._pause == 0:
            logger.warning("samples are not shown until Redis is back: %s", error)
        self._pause = min(LONGEST_PAUSE_SECONDS, max(0.5, self._pause * 2))
        self._not_before = time.monotonic() + self._pause

    def _recovered(self) -> None:
        if self._pause:
            logger.info("samples are shown again; %d were not", self.dropped)
        self._pause = 0.0


def _body(sample: Sample) -> bytes:
    """The sample as it is stored; one that is too large is shortened, and says so."""
    body = orjson.dumps(sample.as_dict())
    if len(body) <= pace.MAX_SAMPLE_BYTES:
        return body
    detail = f"the sample has {len(body) // 1024} KiB: small processes and slices are left out"
    body = orjson.dumps(pace.said(sample, detail).as_dict())
    return fit(body, pace.MAX_SAMPLE_BYTES)


def _number_of(last: bytes | None) -> int:
    """Where numbering goes on; from the beginning after what is no sample of ours."""
    try:
        return int(orjson.loads(last)["seq"]) if last is not None else 0
    except (ValueError, TypeError, KeyError):
        logger.error("Redis holds what is no sample: %.80r", last)
        return 0


@lru_cache(maxsize=2)
def _write_script(client: redis.Redis) -> Any:
    return client.register_script(_WRITE)


def fit(text: bytes, room: int = topics.MAX_DATA_BYTES) -> bytes:
    """A sample that fits one socket frame: of too many processes and slices the biggest stay."""
    if len(text) <= room:
        return text
    sample = orjson.loads(text)
    for entries in (sample["processes"], *(gpu["mig"] for gpu in sample["gpus"])):
        entries.sort(key=lambda entry: entry["memory_used_bytes"] or 0, reverse=True)
    for keep in (100, 30, 10, 0):
        sample["processes"] = sample["processes"][:keep]
        for name in ("disks", "networks"):
            sample[name] = sample[name][: keep + 30]
        for gpu in sample["gpus"]:
            gpu["mig"] = gpu["mig"][:keep]
        text = orjson.dumps(sample)
        if len(text) <= room:
            break
    return text
