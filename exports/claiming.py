"""Which export is made next: one at a time on each machine, and no team before all others.

A machine that is off costs a hand a quarter of a minute, one that drips two minutes: it has one
hand at most. Claims are made one after the other, under a lock of the whole site, so that what is
counted here is true in every worker.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from core.background import claims, isolation
from core.background.isolation import Failed
from exports.models import Export, Kind, State

_TURN = 1684500840


def claim(tried: set[UUID], failed: Failed[Export]) -> Export | None:
    """The next export, which is the caller's alone; None if nothing may begin now.

    A row that cannot be claimed is told by `failed` and goes into `tried`, which is passed over, so
    that it keeps no other from its turn.
    """
    with transaction.atomic():
        claims.take_turn(_TURN)
        while (export := _next(tried)) is not None:
            if isolation.each([export], Export.begin, name="beginning export", failed=failed):
                return export
            tried.add(export.pk)
    return None


def asking() -> QuerySet[Export]:
    """Exports that ask their machine at this moment."""
    return Export.objects.filter(state=State.RUNNING, kind=Kind.DUAL)


def _next(tried: Iterable[UUID]) -> Export | None:
    # A row that somebody cancels just now is passed over: whoever claims waits for nobody.
    rows = Export.objects.select_for_update(skip_locked=True, of=("self",))
    rows = rows.select_related("connection__team", "requested_by")
    rows = rows.filter(state=State.WAITING).exclude(pk__in=tried)
    rows = rows.exclude(Q(kind=Kind.DUAL) & Q(connection__in=asking().values("connection")))
    running = Export.objects.filter(state=State.RUNNING)
    teams = running.values_list("connection__team_id", flat=True)
    turns = claims.fewest_first("connection__team_id", teams)
    found: Export | None = rows.order_by(*turns, "created_at", "pk").first()
    return found
