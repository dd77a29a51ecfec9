"""The ledger in PostgreSQL: a table of minutes, and tables of hours and days that are their sums.

An entry's key is the start of its minute, hour or day (UTC), the machine, the GPU and the owner.
The sums are added to in the transaction that writes the minutes, so that they are always exactly
that; reports read days, and hours and minutes only for the ends of an odd span.

`idle_since` is the minute at which an owner began to hold memory idly without a break; it travels
from minute to minute, so that "idle for five hours" is one row and not three hundred.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from metrics.history.saver import Ended, Keeping
from metrics.live.persist import copy
from usage.attribution import MINUTE_SECONDS, Entry, Minute
from usage.models import Owner as OwnerRow
from usage.notes import Owner
from usage.tables import ADD_TO_SUMS, MINUTES

# A keeper's death may cost a minute; it does not end a long idleness.
_MAY_MISS = timedelta(minutes=5)
_LENGTH = timedelta(seconds=MINUTE_SECONDS)

Key = tuple[int, int, int]  # machine, GPU, owner
Row = tuple[object, ...]

_WRITTEN = """
SELECT DISTINCT machine, at FROM usage_minute WHERE machine = ANY(%s) AND at = ANY(%s)
"""
_IDLE = """
SELECT DISTINCT ON (machine, gpu, owner) machine, gpu, owner, idle_since FROM usage_minute
WHERE machine = ANY(%s) AND at >= %s AND at < %s
ORDER BY machine, gpu, owner, at DESC
"""


def write(keeping: Keeping, ended: Ended[Minute], keys: Mapping[UUID, int]) -> int:
    """Write minutes of machines that are held, each once; how many rows."""
    with transaction.atomic():
        owned = keeping.lock({id for id, _ in ended})
        mine = [(keys[id], minute) for id, minute in ended if id in owned and id in keys]
        new = _not_yet_written(mine)
        owners = _numbers_of({entry.owner for _, minute in new for entry in minute.entries})
        return sum(_write_minute(at, of_minute, owners) for at, of_minute in _by_minute(new))


def _not_yet_written(minutes: Sequence[tuple[int, Minute]]) -> list[tuple[int, Minute]]:
    machines = list({machine for machine, _ in minutes})
    starts = list({minute.at - _LENGTH for _, minute in minutes})
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, [machines, starts])
        there = set(cursor.fetchall())
    return [pair for pair in minutes if (pair[0], pair[1].at - _LENGTH) not in there]


def _by_minute(
    minutes: Iterable[tuple[int, Minute]],
) -> list[tuple[datetime, list[tuple[int, Entry]]]]:
    """The entries with their machines, by the minutes' starts, oldest first."""
    found: dict[datetime, list[tuple[int, Entry]]] = {}
    for machine, minute in minutes:
        entries = found.setdefault(minute.at - _LENGTH, [])
        entries += [(machine, entry) for entry in minute.entries]
    return sorted(found.items())


def _write_minute(
    at: datetime, entries: Sequence[tuple[int, Entry]], owners: Mapping[Owner, int]
) -> int:
    """One COPY of minutes, and their sums."""
    if not entries:
        return 0
    machines = list({machine for machine, _ in entries})
    since = _idle_since(at, machines)
    keyed = [((machine, entry.gpu, owners[entry.owner]), entry) for machine, entry in entries]
    rows = [_row(at, key, entry, since.get(key)) for key, entry in keyed]
    written = copy(MINUTES, rows)
    with connection.cursor() as cursor:
        for add in ADD_TO_SUMS:
            cursor.execute(add, [at, machines])
    return written


def _idle_since(at: datetime, machines: list[int]) -> dict[Key, datetime]:
    """Since when each owner has held memory idly, by the minutes just before this one."""
    with connection.cursor() as cursor:
        cursor.execute(_IDLE, [machines, at - _MAY_MISS, at])
        rows = cursor.fetchall()
    return {(machine, gpu, owner): since for machine, gpu, owner, since in rows if since}


def _row(at: datetime, key: Key, entry: Entry, since: datetime | None) -> Row:
    machine, gpu, owner = key
    idle_since = (since or at) if entry.is_idle else None
    return (
        at,
        idle_since,
        machine,
        owner,
        gpu,
        *(getattr(entry, name) for name in MINUTES.numbers),
    )


def _numbers_of(owners: Iterable[Owner]) -> dict[Owner, int]:
    """The stored number of each owner, made for those that have none yet."""
    wanted = set(owners)
    numbers = _stored(wanted)
    missing = sorted(wanted - numbers.keys(), key=repr)  # in one order two keepers cannot deadlock
    if missing:
        OwnerRow.objects.bulk_create(
            [OwnerRow(**owner._asdict()) for owner in missing], ignore_conflicts=True
        )
        numbers |= _stored(set(missing))
    return numbers


def _stored(owners: Collection[Owner]) -> dict[Owner, int]:
    named = Q(user__in={owner.user for owner in owners if owner.user is not None})
    held = Q(container__in={owner.container for owner in owners if owner.container is not None})
    rows = OwnerRow.objects.filter(named | held | Q(user__isnull=True, container__isnull=True))
    values = rows.values_list("user", "container", "is_nobody", "id")
    found = {Owner(user, container, is_nobody): id for user, container, is_nobody, id in values}
    return {owner: found[owner] for owner in owners if owner in found}
