"""Write what a keeper found: state, event and announcement, under the machine's epoch."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from connections import broadcast, notify
from connections.keeper import leases
from connections.models import Connection, ConnectionEvent, Status
from core import cleaner

LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class State:
    """What a machine's row is to say. `retry_seconds` from now, None if nothing is planned."""

    status: str
    reason: str = ""
    detail: str = ""
    retry_seconds: float | None = None
    offered_host_key: str = ""

    def __post_init__(self) -> None:
        # Whoever made the words: what a machine says goes no further than here as it came.
        object.__setattr__(self, "detail", cleaner.line(self.detail, LONGEST_DETAIL))
        object.__setattr__(self, "offered_host_key", cleaner.line(self.offered_host_key, 100))


def write_state(keeper_id: UUID, connection_id: UUID, epoch: int, state: State) -> None:
    """Write `state` if this keeper still holds the machine in this epoch, else `LeaseLost`."""
    with leases.fenced(connection_id, epoch, keeper_id=keeper_id, changes=True):
        row = Connection.objects.select_related("team").get(pk=connection_id)
        if (row.status, row.reason) != (state.status, state.reason):
            _record_change(row, state)
            notify.of_change(row, state.status, state.reason, state.detail)
        changes = _columns(row, state)
        Connection.objects.filter(pk=connection_id).update(**changes)
    broadcast.connections([connection_id])


def _record_change(row: Connection, state: State) -> None:
    ConnectionEvent.objects.create(
        connection=row,
        from_status=row.status,
        to_status=state.status,
        reason=state.reason,
        detail=state.detail,
        actor=settings.SITE_ACTOR,
    )


def _columns(row: Connection, state: State) -> dict[str, Any]:
    now = timezone.now()
    changes: dict[str, Any] = {
        "status": state.status,
        "reason": state.reason,
        "detail": state.detail,
        "retry_at": None,
        "offered_host_key": state.offered_host_key,
    }
    if (row.status, row.reason) != (state.status, state.reason):
        changes["since"] = now
    if state.retry_seconds is not None:
        changes["retry_at"] = now + timedelta(seconds=state.retry_seconds)
    if state.status == Status.CONNECTED and row.status != Status.CONNECTED:
        changes["connected_at"] = changes["last_connected_at"] = now
    if state.status != Status.CONNECTED:
        changes["connected_at"] = None
    return changes
