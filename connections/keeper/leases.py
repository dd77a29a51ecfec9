"""Which keeper holds which machine: rows, database time, and an epoch that fences the past.

A keeper is alive while its heartbeat is younger than the TTL. It claims free machines up to a fair
share of the living keepers; claiming raises the machine's epoch, and every later write goes through
the fence (`fenced`, `lock_held`), so that a keeper which slept through its TTL changes nothing any
more.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from connections.models import Connection, Keeper, Status, Transport

# A keeper that is gone this long is forgotten (a multiple of the TTL).
FORGET_AFTER_TTLS = 30
_LONGEST_TROUBLE = 300

# A keeper that is stopped in here would keep its successor out for as long as it sleeps, since a
# claim passes over locked rows: the database ends the transaction when the lease is over.
_FENCE = """
SELECT id, epoch, set_config('idle_in_transaction_session_timeout', %s, true)
FROM connections_connection
WHERE id = ANY(%s) AND (owner_id = %s OR %s) ORDER BY id
"""


class LeaseLost(Exception):
    """Another keeper holds the machine now; what we know of it no longer counts."""


def renew(keeper_id: UUID, name: str, *, holds_local: bool, trouble: str = "") -> None:
    """Say that this keeper lives, in the database's time, and what of it does not."""
    beat = {"heartbeat_at": Now(), "trouble": trouble[:_LONGEST_TROUBLE]}
    if not Keeper.objects.filter(id=keeper_id).update(**beat):
        Keeper.objects.create(id=keeper_id, name=name, holds_local=holds_local, **beat)


def retire(keeper_id: UUID) -> None:
    """Give everything back at once: the others need not wait for the TTL."""
    with transaction.atomic():
        Connection.objects.filter(owner_id=keeper_id).update(owner=None)
        Keeper.objects.filter(id=keeper_id).delete()


def settle(keeper_id: UUID, *, holds_local: bool) -> None:
    """Forget keepers that have long been gone, and hold the fair share: no more, no less.

    Every keeper asks this with every tick, so the usual answer – nothing to do – takes two queries.
    """
    gone = Q(heartbeat_at__lt=_oldest_heartbeat(FORGET_AFTER_TTLS))
    keepers = Keeper.objects.aggregate(
        living=Count("pk", filter=alive()), gone=Count("pk", filter=gone)
    )
    if keepers["gone"]:
        Keeper.objects.filter(gone).delete()
    if keepers["living"] > 1:
        release_surplus(keeper_id, holds_local=holds_local)
    if _room(keeper_id, max(1, keepers["living"]), _claimable(holds_local)) > 0:
        claim(keeper_id, holds_local=holds_local)


def alive() -> Q:
    """A filter for living keepers."""
    return Q(heartbeat_at__gte=_oldest_heartbeat(1))


def claim(keeper_id: UUID, *, holds_local: bool) -> int:
    """Take free machines up to this keeper's share; how many were taken.

    Free is: wished, or not yet tidied up, and owned by no living keeper.
    """
    living = max(1, Keeper.objects.filter(alive()).count())
    wanted = _claimable(holds_local)
    room = _room(keeper_id, living, wanted)
    if room <= 0:
        return 0
    with transaction.atomic():
        free = (
            wanted.filter(Q(owner=None) | ~Q(owner__in=Keeper.objects.filter(alive())))
            .order_by("pk")
            .select_for_update(skip_locked=True, of=("self",))
            .values_list("pk", flat=True)[:room]
        )
        return _take(keeper_id, list(free))


def release_surplus(keeper_id: UUID, *, holds_local: bool) -> int:
    """Give back what is above the fair share, so that a new keeper gets work; how many."""
    living = max(1, Keeper.objects.filter(alive()).count())
    if living == 1:
        return 0
    share = math.ceil(_claimable(holds_local).count() / living)
    mine = Connection.objects.filter(owner_id=keeper_id).exclude(transport=Transport.LOCAL)
    surplus = list(mine.order_by("pk").values_list("pk", flat=True)[share:])
    return Connection.objects.filter(pk__in=surplus, owner_id=keeper_id).update(owner=None)


def give_back(keeper_id: UUID, ids: Sequence[UUID]) -> None:
    """No longer hold these."""
    Connection.objects.filter(pk__in=ids, owner_id=keeper_id).update(owner=None)


@contextmanager
def fenced(
    connection_id: UUID, epoch: int, *, keeper_id: UUID | None = None, changes: bool = False
) -> Iterator[None]:
    """A transaction during which nobody can claim the machine; `LeaseLost` if somebody has.

    With `keeper_id` also if this keeper has given it back; with `changes` of the machine's own row
    nobody else can read it for a change either. Who does nothing in it for longer than the lease
    loses it: `django.db.Error`.
    """
    with transaction.atomic():
        if not _locked({connection_id: epoch}, [connection_id], keeper_id, changes=changes):
            raise LeaseLost(str(connection_id))
        yield


def lock_held(keeper_id: UUID, holdings: Mapping[UUID, int], ids: Iterable[UUID]) -> set[UUID]:
    """The same fence for many at once: those of `ids` that this keeper holds under the epochs that
    it believes in (`holdings`), kept from others until the transaction ends.
    """
    return _locked(holdings, ids, keeper_id)


def _locked(
    epochs: Mapping[UUID, int],
    ids: Iterable[UUID],
    keeper_id: UUID | None,
    *,
    changes: bool = False,
) -> set[UUID]:
    patience = f"{round(settings.KEEPER_TTL_SECONDS * 1000)}ms"
    lock = "FOR UPDATE" if changes else "FOR SHARE"
    with connection.cursor() as cursor:
        cursor.execute(_FENCE + lock, [patience, list(ids), keeper_id, keeper_id is None])
        return {id for id, epoch, _ in cursor.fetchall() if epochs.get(id) == epoch}


def _claimable(holds_local: bool) -> QuerySet[Connection]:
    rows = Connection.objects.filter(
        Q(is_active=True, deleted_at=None) | ~Q(status=Status.DISCONNECTED)
    )
    return rows if holds_local else rows.exclude(transport=Transport.LOCAL)


def _room(keeper_id: UUID, living: int, wanted: QuerySet[Connection]) -> int:
    """How many machines this keeper is short of its share."""
    counts = wanted.aggregate(all=Count("pk"), mine=Count("pk", filter=Q(owner_id=keeper_id)))
    share: int = math.ceil(counts["all"] / living)
    return share - int(counts["mine"])


def _take(keeper_id: UUID, ids: list[UUID]) -> int:
    return Connection.objects.filter(pk__in=ids).update(owner_id=keeper_id, epoch=F("epoch") + 1)


def _oldest_heartbeat(ttls: int) -> CombinedExpression:
    return Now() - timedelta(seconds=settings.KEEPER_TTL_SECONDS * ttls)
