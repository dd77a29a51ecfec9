"""A person's list: what is in it, what is unread, and its way to the pages that are open."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core import topics
from notifications import recipients
from notifications.models import Notification
from notifications.serializers import notification_dict

LATEST = 20
# Twenty of these, each character in four bytes, are less than one frame of the socket.
_BODY_ON_SOCKET = 200


def of(user_id: int) -> QuerySet[Notification]:
    """The list, newest first."""
    rows = Notification.objects.of(user_id).select_related("event")
    return rows.order_by("-id")


def unread(user_id: int) -> int:
    return Notification.objects.of(user_id).unread().count()


def mark_read(user_id: int, event_ids: Sequence[UUID] | None = None) -> int:
    """Mark these, or all with None; how many there were. Other pages of the person follow."""
    rows = Notification.objects.filter(user_id=user_id).unread()
    if event_ids is not None:
        rows = rows.filter(event_id__in=event_ids)
    changed = rows.update(read_at=timezone.now())
    if changed:
        transaction.on_commit(lambda: push_state(user_id))
    return changed


def state(user_id: int) -> bytes:
    """The first answer to a subscription: the latest, and how many are unread."""
    latest = [_short(row) for row in of(user_id)[:LATEST]]
    while len(data := _json(latest, unread(user_id))) > topics.MAX_DATA_BYTES:
        latest.pop()
    return data


def push_state(user_id: int) -> None:
    """Show the person's pages the list as it is now."""
    topics.publish_to_person(user_id, [topics.Item(topics.NOTIFICATIONS, "state", state(user_id))])


def push_events(event_ids: Sequence[UUID]) -> None:
    """Show new events to those who have them in their lists and are at a page."""
    new = Notification.objects.filter(event_id__in=event_ids).standing()
    rows = list(new.select_related("event").order_by("id"))
    quiet = recipients.quiet_ends((row.user_id for row in rows), timezone.now())
    for row in rows:
        data = orjson.dumps(
            {
                "notification": _short(row),
                "unread": unread(row.user_id),
                "quiet": row.user_id in quiet,
            }
        )
        topics.publish_to_person(
            row.user_id, [topics.Item(topics.NOTIFICATIONS, "notification", data)]
        )


def _short(row: Notification) -> dict[str, Any]:
    shown = notification_dict(row)
    return shown | {"body": shown["body"][:_BODY_ON_SOCKET]}


def _json(latest: Iterable[dict[str, Any]], count: int) -> bytes:
    return orjson.dumps({"notifications": list(latest), "unread": count})
