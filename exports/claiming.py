"""Which export is made next: one at a time on each machine, and no team before all others.

A machine that is off costs a hand a quarter of a minute, one that drips two minutes: it has one
hand at most. Claims are made one after the other, under a lock of the whole site, so that what is
counted here is true in every worker.
"""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Q, QuerySet, Value, When

from dgxsite import isolation
from dgxsite.isolation import Failed
from exports.models import Export, Kind, State

# Any constant of our own; PostgreSQL's advisory locks are numbers.
_TURN = 1684500840


def claim(tried: set[UUID], failed: Failed[Export]) -> Export | None:
    """The next export, which is the caller's alone; None if nothing may begin now.

    A row that cannot be claimed is told by `failed` and goes into `tried`, which is passed over, so
    that it keeps no other from its turn.
    """
    with transaction.atomic():
        _wait_for_turn()
        while (export := _next(tried)) is not None:
            if isolation.each([export], Export.begin, name="beginning export", failed=failed):
                return export
            tried.add(export.pk)
    return None


def asking() -> QuerySet[Export]:
    """Exports that ask their machine at this moment."""
    return Export.objects.filter(state=State.RUNNING, kind=Kind.DUAL)


def _wait_for_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])


def _next(tried: Iterable[UUID]) -> Export | None:
    # A row that somebody cancels just now is passed over: whoever claims waits for nobody.
    rows = Export.objects.select_for_update(skip_locked=True, of=("self",))
    rows = rows.select_related("connection__team", "requested_by")
    rows = rows.filter(state=State.WAITING).exclude(pk__in=tried)
    rows = rows.exclude(Q(kind=Kind.DUAL) & Q(connection__in=asking().values("connection")))
    found: Export | None = rows.order_by(*_turns_of_teams(), "created_at", "pk").first()
    return found


def _turns_of_teams() -> list[Case]:
    """Teams with fewer exports under way come first, however long the others have waited."""
    running = Export.objects.filter(state=State.RUNNING)
    counts = Counter(running.values_list("connection__team_id", flat=True))
    whens = [When(connection__team_id=team, then=Value(count)) for team, count in counts.items()]
    return [Case(*whens, default=Value(0))] if whens else []
