"""Tell a team what its machines cannot: that one shows another key, refuses us, or stays away."""

from datetime import datetime, timedelta

from connections.models import Connection, ConnectionEvent, Reason, Status
from core.background import isolation
from notifications import events
from notifications.models import Event

# A restart is no news; who is away this long is.
AWAY = timedelta(minutes=5)
_AWAY_REASONS = (Reason.UNREACHABLE, Reason.SSH_UNRESPONSIVE)
# What stops at once needs a person, so it is told at once: reason → kind of notification.
_AT_ONCE: dict[str, str] = {
    Reason.HOST_KEY_CHANGED: "host_key_changed",
    Reason.AUTH_FAILED: "auth_failed",
}


def of_change(row: Connection, status: str, reason: str, detail: str) -> None:
    """Called in the transaction that writes a new state."""
    if status == Status.ERROR and reason in _AT_ONCE:
        _tell(row, _AT_ONCE[reason], f"{row.name}: {detail}")
    elif status == Status.CONNECTED and row.status != Status.CONNECTED:
        _tell_of_return(row)


def of_absence(now: datetime) -> int:
    """Tell of every wished machine that has been away for `AWAY`, once; how many were new."""
    away = Connection.objects.living().filter(is_active=True, reason__in=_AWAY_REASONS)
    rows = away.exclude(status=Status.CONNECTED).select_related("team")
    return isolation.each(rows, lambda row: _of_one(row, now), name="telling of the absence of")


def _of_one(row: Connection, now: datetime) -> bool:
    loss = _loss(row)
    if loss is None or loss.at > now - AWAY:
        return False
    title = f"{row.name} is out of reach since {loss.at:%H:%M} UTC"
    return _tell(row, "unreachable", title, dedupe_key=_once("unreachable", loss))


def _tell_of_return(row: Connection) -> None:
    loss = _loss(row)
    if loss and Event.objects.filter(dedupe_key=_once("unreachable", loss)).exists():
        _tell(row, "recovered", f"{row.name} is back", dedupe_key=_once("recovered", loss))


def _loss(row: Connection) -> ConnectionEvent | None:
    """When it was last lost; None if it was never connected."""
    lost = ConnectionEvent.objects.filter(connection=row, from_status=Status.CONNECTED)
    return lost.exclude(to_status=Status.CONNECTED).order_by("-id").first()


def _once(kind: str, loss: ConnectionEvent) -> str:
    """What makes a second notification about the same loss the same one."""
    return f"{kind}:{loss.connection_id}:{loss.pk}"


def _tell(row: Connection, kind: str, title: str, dedupe_key: str = "") -> bool:
    event = events.notify(
        row.team,
        kind,
        title,
        link=f"/machines/{row.pk}/",
        subject=row,
        dedupe_key=dedupe_key,
        data={
            "connection": {
                "id": str(row.pk),
                "name": row.name,
                "status": row.status,
                "reason": row.reason or None,
            }
        },
    )
    return event is not None
