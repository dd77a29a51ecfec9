"""An event in words, for every way out of the site."""

from urllib.parse import urlsplit

from django.conf import settings

from core.times import iso
from notifications.models import Event


def payload(event: Event) -> dict[str, object]:
    """The body of a webhook, see docs/notifications.md."""
    subject = {"type": event.object_type, "id": event.object_id} if event.object_type else None
    return {
        "id": str(event.pk),
        "kind": event.kind,
        "severity": event.severity,
        "title": event.title,
        "body": event.body,
        "url": address(event),
        "team": {"id": str(event.team_id), "name": event.team.name},
        "object": subject,
        "data": event.data,
        "created_at": iso(event.created_at),
    }


def text(event: Event) -> str:
    """The body of an e-mail or a chat message."""
    parts = [event.body or event.title, address(event), f"Team: {event.team.name}"]
    return "\n\n".join(part for part in parts if part)


def address(event: Event) -> str | None:
    """Where to look; None without `DGX_BASE_URL`, since nobody outside knows our name then."""
    return settings.BASE_URL + event.link if settings.BASE_URL and event.link else None


def domain() -> str:
    """Our name in message ids."""
    return urlsplit(settings.BASE_URL).hostname or settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]
