"""Notifications, channels and deliveries as other programs see them; never a secret."""

from typing import Any

from core.times import iso
from notifications.kinds import KINDS, Way
from notifications.models import Channel, Delivery, Notification

MASK = "••••••••"


def notification_dict(row: Notification) -> dict[str, Any]:
    """Its id is the event's, as in e-mails and webhooks. Needs `select_related("event")`."""
    event = row.event
    subject = {"type": event.object_type, "id": event.object_id} if event.object_type else None
    return {
        "id": str(event.pk),
        "kind": event.kind,
        "severity": event.severity,
        "title": event.title,
        "body": event.body,
        "link": event.link or None,
        "team_id": str(event.team_id),
        "object": subject,
        "created_at": iso(event.created_at),
        "read_at": iso(row.read_at),
    }


def channel_dict(channel: Channel) -> dict[str, Any]:
    """Needs `prefetch_related("choices")` to ask no further query per row."""
    return {
        "id": str(channel.pk),
        "team_id": str(channel.team_id),
        "name": channel.name,
        "kind": channel.kind,
        "url": channel.shown_url,
        "secret": MASK if channel.secret_encrypted else None,
        "events": taken(channel),
        "created_at": iso(channel.created_at),
    }


def taken(channel: Channel) -> list[str]:
    """The kinds of events that go to this channel."""
    chosen = {choice.kind: choice.wanted for choice in channel.choices.all()}
    return [
        kind.name
        for kind in KINDS
        if Way.CHANNEL in kind.ways and chosen.get(kind.name, Way.CHANNEL in kind.wanted)
    ]


def delivery_dict(row: Delivery) -> dict[str, Any]:
    """Needs `prefetch_related("tries")`."""
    return {
        "event_id": str(row.event_id),
        "status": row.status,
        "attempts": row.attempts,
        "due_at": iso(row.due_at),
        "finished_at": iso(row.finished_at),
        "detail": row.detail,
        "tries": [
            {
                "at": iso(one.at),
                "ok": one.ok,
                "detail": one.detail,
                "duration_ms": one.duration_ms,
            }
            for one in row.tries.all()
        ],
    }
