"""Write the windows that have ended: one COPY per table, once, and only what this keeper holds.

One transaction (1) locks the rows of the machines that this keeper holds under the epoch it
believes in, so that nobody can claim them meanwhile and a keeper that slept writes nothing,
(2) leaves out what is already there – a commit whose answer was lost, or a window that a
predecessor wrote –, (3) notes the hours that change (`metrics/history/rollup_queue.py`), and (4)
copies the rest. A database that is down, or a day without a
partition, loses nothing: the windows wait in memory (`metrics/history/buffer.py`,
`metrics/history/saver.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from psycopg import sql

from core import cleaner
from metrics.history import rollup_queue, tiers
from metrics.history.buffer import Unsaved, unsaved
from metrics.history.partitions import Table
from metrics.history.saver import Ended, Keeping, Saver
from metrics.history.window import Window
from metrics.live.store import unsaved_readings
from metrics.models import GpuIdentity

Device = tuple[int, int, str | None]  # machine, index, uuid

# What this process knows to be stored; asking again every 20 seconds would double the work.
_noted: set[Device] = set()

_INSTANT = timedelta(microseconds=1)

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
    saver = Saver(windows, unsaved_readings, _write, tiers.ensure_days)
    return saver.save(Keeping(keeper_id, holdings), now)


def _write(keeping: Keeping, ended: Ended[Window], keys: Mapping[UUID, int]) -> int:
    with transaction.atomic():
        owned = keeping.lock({id for id, _ in ended})
        mine = [(keys[id], window) for id, window in ended if id in owned and id in keys]
        new = _not_yet_written(mine)
        devices = _remember_devices(new)
        rollup_queue.note(tiers.HOURLY, _hours(new))
        rows = copy(tiers.RAW.machine, _machine_rows(new))
        rows += copy(tiers.RAW.gpu, _gpu_rows(new))
    _noted.update(devices)
    return rows


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
                uuid=cleaner.line(device[2] or "", 100, unseen=""),
                name=cleaner.line(names[device] or "", 200, unseen=""),
            )
            for device in sorted(news, key=str)  # two keepers in the same order cannot deadlock
        ],
        ignore_conflicts=True,
    )
    return set(news)


def _hours(windows: Iterable[tuple[int, Window]]) -> set[rollup_queue.Due]:
    """The hours in which these windows lie; one that ends on the hour is the last of its hour."""
    return {(machine, tiers.HOURLY.start_of(window.at - _INSTANT)) for machine, window in windows}


def _machine_rows(windows: Iterable[tuple[int, Window]]) -> Iterable[tuple[object, ...]]:
    for machine, window in windows:
        yield window.at, machine, window.count, *window.numbers


def _gpu_rows(windows: Iterable[tuple[int, Window]]) -> Iterable[tuple[object, ...]]:
    for machine, window in windows:
        for gpu in window.gpus:
            yield window.at, machine, gpu.index, gpu.count, *gpu.numbers


def copy(table: Table, rows: Iterable[tuple[object, ...]]) -> int:
    """COPY the rows in its text format; how many there were."""
    # Nine digits are all that a `real` keeps.
    form = "\t".join(["%s"] * len(table.key) + ["%.9g"] * len(table.numbers))
    lines = [_line(form, row) for row in rows]
    if not lines:
        return 0
    names = [*table.key, *table.numbers]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
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
