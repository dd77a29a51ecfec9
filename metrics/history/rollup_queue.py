"""Which hours and days have to be computed (again): one small table, and three ways to touch it.

Who changes rows of a tier notes, in the same transaction, the hour or day above that changes with
them. Who computes takes the note, in the same transaction as the result. No clock decides whether a
row is seen (docs/history.md):

* A writer locks the note for sharing, or makes it. A taker skips what is locked, so it never
  computes while a writer's rows are still invisible.
* A writer that meets a note which a taker has locked waits until that one is gone, and makes a new
  one: its rows are computed by the next round.
"""

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from metrics.history.tiers import Tier

# A machine's number and the start of its hour or day.
Due = tuple[int, datetime]

_SHARE = """
SELECT machine, at FROM metrics_pending
WHERE tier = %s AND (machine, at) IN (SELECT * FROM unnest(%s::int[], %s::timestamptz[]))
ORDER BY at, machine FOR SHARE
"""
# The update changes nothing, but it locks the row of somebody who was quicker.
_MAKE = """
INSERT INTO metrics_pending (tier, machine, at)
SELECT %s, * FROM unnest(%s::int[], %s::timestamptz[])
ON CONFLICT (tier, at, machine) DO UPDATE SET at = excluded.at
"""
_TAKE = """
SELECT machine, at FROM metrics_pending WHERE tier = %s AND at <= %s
ORDER BY at, machine LIMIT %s FOR UPDATE SKIP LOCKED
"""
_DONE = """
DELETE FROM metrics_pending
WHERE tier = %s AND (machine, at) IN (SELECT * FROM unnest(%s::int[], %s::timestamptz[]))
"""
_OF_MACHINE = """
SELECT at FROM metrics_pending WHERE tier = %s AND machine = %s AND at >= %s AND at < %s
ORDER BY at
"""


def note(tier: Tier, due: Collection[Due]) -> None:
    """Within a transaction: these rows of `tier` change with it. May wait for a taker's commit."""
    if not due:
        return
    with connection.cursor() as cursor:
        cursor.execute(_SHARE, [tier.name, *_arrays(due)])
        missing = set(due) - set(cursor.fetchall())
        if missing:
            cursor.execute(_MAKE, [tier.name, *_arrays(missing)])


def take(tier: Tier, now: datetime, most: int) -> list[Due]:
    """Within a transaction: at most so many notes, oldest first, of spans that ended by `now`."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [tier.name, now - tier.resolution, most])
        return list(cursor.fetchall())


def done(tier: Tier, due: Collection[Due]) -> None:
    """Within the transaction that took them: they are computed."""
    with connection.cursor() as cursor:
        cursor.execute(_DONE, [tier.name, *_arrays(due)])


def of_machine(tier: Tier, machine: int, start: datetime, end: datetime) -> list[datetime]:
    """The noted spans of a machine that begin within the given ones; nothing is locked."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_MACHINE, [tier.name, machine, start, end])
        return [at for (at,) in cursor.fetchall()]


def _arrays(due: Collection[Due]) -> tuple[list[int], list[datetime]]:
    """In the order in which everybody locks, so that nobody waits in a circle."""
    ordered = sorted(due, key=lambda one: (one[1], one[0]))
    return [machine for machine, _ in ordered], [at for _, at in ordered]
