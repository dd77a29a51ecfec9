"""Write the windows that have ended: one COPY per table, once, and only what this keeper holds.

One transaction (1) locks the rows of the machines that this keeper holds under the epoch it
believes in, so that nobody can claim them meanwhile and a keeper that slept writes nothing,
(2) leaves out what is already there – a commit whose answer was lost, or a window that a
predecessor wrote –, and (3) copies the rest. A database that is down, or a day without a
partition, loses nothing: the windows wait in memory (`metrics/unsaved.py`).
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    connection,
    transaction,
)
from psycopg import sql
from psycopg.errors import CheckViolation
from redis.exceptions import RedisError

from metrics import tiers
from metrics.live import unsaved_readings
from metrics.models import GpuIdentity, Machine
from metrics.unsaved import Unsaved, unsaved
from metrics.window import Window

logger = logging.getLogger(__name__)

# A frame that was read just before the end of a window has been added by then.
GRACE = 0.1
# After a long time without the database: as much as half a second writes.
MOST_WINDOWS = 1_000

Ended = tuple[UUID, Window]
Device = tuple[int, int, str | None]  # machine, index, uuid

# What this process knows to be stored; asking again every 20 seconds would double the work.
_noted: set[Device] = set()

_OWNED = """
SELECT id, epoch FROM connections_connection
WHERE id = ANY(%s) AND owner_id = %s ORDER BY id FOR SHARE
"""
_KEYS = """
INSERT INTO metrics_machine (connection_id)
SELECT id FROM connections_connection WHERE id = ANY(%s) ON CONFLICT DO NOTHING
"""
_WRITTEN = """
SELECT machine, at FROM metrics_raw_machine WHERE machine = ANY(%s) AND at = ANY(%s)
"""


def persist(
    keeper_id: UUID,
    holdings: Mapping[UUID, int],
    now: datetime,
    *,
    windows: Unsaved = unsaved,
) -> int:
    """Write what has ended by `now` for the machines in `holdings`; how many rows were written.

    Never raises for a database that is down: it says so once per call and returns 0.
    """
    _adopt(holdings, windows)
    before = now - timedelta(seconds=GRACE * settings.SAMPLE_SECONDS)
    written = 0
    try:
        while ended := windows.ended(before, holdings)[:MOST_WINDOWS]:
            rows = _persist(keeper_id, holdings, ended)
            windows.discard(ended)
            written += rows
    except (DatabaseError, InterfaceError) as error:
        logger.error("windows are kept, they could not be saved: %s", error)
        if not connection.in_atomic_block:
            connection.close()
    return written


def _adopt(holdings: Mapping[UUID, int], windows: Unsaved) -> None:
    """Take over what the previous keepers of newly held machines left in Redis."""
    new = windows.to_adopt(holdings)
    if not new:
        return
    try:
        left = unsaved_readings(new)
    except (RedisError, OSError) as error:
        logger.warning("readings of previous keepers wait for Redis: %s", error)
        return
    for connection_id in new:
        windows.adopt(connection_id, holdings[connection_id], left[connection_id])


def _persist(keeper_id: UUID, holdings: Mapping[UUID, int], ended: Sequence[Ended]) -> int:
    keys = _machine_keys({connection_id for connection_id, _ in ended})
    try:
        return _write(keeper_id, holdings, ended, keys)
    except (IntegrityError, DataError) as error:
        if _made_missing_days(error, ended):
            return _persist(keeper_id, holdings, ended)
        if len(ended) == 1:
            logger.error("connection=%s: a window was refused: %s", ended[0][0], error)
            return 0
    # One bad window must not hold up the others: look for it by halves.
    middle = len(ended) // 2
    halves = (ended[:middle], ended[middle:])
    return sum(_persist(keeper_id, holdings, half) for half in halves)


def _made_missing_days(error: Exception, ended: Iterable[Ended]) -> int:
    """How many partitions were made, if that is what the error is about."""
    # "No partition of relation found for row" is reported as a check violation.
    if not isinstance(error.__cause__, CheckViolation):
        return 0
    days = sorted({window.at.date() for _, window in ended})
    logger.error("no partition for a window between %s and %s; making it", days[0], days[-1])
    return tiers.ensure_days(days)


def _machine_keys(ids: Collection[UUID]) -> dict[UUID, int]:
    """The stored number of each connection, made for those that have none yet."""
    known = Machine.objects.filter(connection_id__in=ids)
    keys = dict(known.values_list("connection_id", "id"))
    missing = [id for id in ids if id not in keys]
    if missing:
        with connection.cursor() as cursor:
            cursor.execute(_KEYS, [missing])
        keys |= dict(known.values_list("connection_id", "id"))
    return keys


def _write(
    keeper_id: UUID,
    holdings: Mapping[UUID, int],
    ended: Sequence[Ended],
    keys: Mapping[UUID, int],
) -> int:
    with transaction.atomic():
        owned = _lock_owned(keeper_id, holdings, {id for id, _ in ended})
        mine = [(keys[id], window) for id, window in ended if id in owned and id in keys]
        new = _not_yet_written(mine)
        devices = _remember_devices(new)
        rows = _copy(tiers.MACHINES, _machine_rows(new))
        rows += _copy(tiers.GPUS, _gpu_rows(new))
    _noted.update(devices)
    return rows


def _lock_owned(keeper_id: UUID, holdings: Mapping[UUID, int], ids: Iterable[UUID]) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_OWNED, [list(ids), keeper_id])
        return {id for id, epoch in cursor.fetchall() if holdings.get(id) == epoch}


def _not_yet_written(windows: Sequence[tuple[int, Window]]) -> list[tuple[int, Window]]:
    machines = list({machine for machine, _ in windows})
    ends = list({window.at for _, window in windows})
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, [machines, ends])
        there = set(cursor.fetchall())
    return [(machine, window) for machine, window in windows if (machine, window.at) not in there]


def _remember_devices(windows: Sequence[tuple[int, Window]]) -> set[Device]:
    """Store which device answered under an index, when that is news; what was news."""
    names = {
        (machine, gpu.index, gpu.uuid): gpu.name
        for machine, window in windows
        for gpu in window.gpus
    }
    news = names.keys() - _noted
    GpuIdentity.objects.bulk_create(
        [
            GpuIdentity(
                machine_id=device[0],
                index=device[1],
                uuid=_clean(device[2], 100),
                name=_clean(names[device], 200),
            )
            for device in sorted(news, key=str)  # two keepers in the same order cannot deadlock
        ],
        ignore_conflicts=True,
    )
    return set(news)


def _clean(text: str | None, length: int) -> str:
    """What a machine said, as a column can hold it."""
    return (text or "").replace("\0", "")[:length]


def _machine_rows(windows: Iterable[tuple[int, Window]]) -> Iterable[tuple[object, ...]]:
    for machine, window in windows:
        yield window.at, machine, window.count, *window.numbers


def _gpu_rows(windows: Iterable[tuple[int, Window]]) -> Iterable[tuple[object, ...]]:
    for machine, window in windows:
        for gpu in window.gpus:
            yield window.at, machine, gpu.index, gpu.count, *gpu.numbers


def _copy(tier: tiers.Tier, rows: Iterable[tuple[object, ...]]) -> int:
    """COPY the rows in its text format; how many there were."""
    # Nine digits are all that a `real` keeps.
    form = "\t".join(["%s"] * len(tier.key) + ["%.9g"] * len(tier.numbers))
    lines = [_line(form, row) for row in rows]
    if not lines:
        return 0
    names = [*tier.key, *tier.numbers]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(tier.table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    # Django leaves the errors of COPY as psycopg raises them unless told.
    told = connection.wrap_database_errors
    with told, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write("\n".join(lines) + "\n")
    return len(lines)


def _line(form: str, row: tuple[object, ...]) -> str:
    if None not in row:
        return form % row
    cells = zip(form.split("\t"), row, strict=True)
    return "\t".join(["\\N" if value is None else part % value for part, value in cells])
