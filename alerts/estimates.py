"""How long memory lasts, from the keeper that knows to the pages that show it.

Only machines whose end is in sight have an entry, and it lasts a few samples. It lies in the cache:
without Redis the pages do not show it, and the alert still comes.
"""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from django.core.cache import cache

from alerts.guard import NEVER

_INTERVALS = 4


def keep(left: Mapping[UUID, float]) -> None:
    """Note the seconds that are left, machine by machine."""
    for connection_id, seconds in left.items():
        if seconds < NEVER:
            lasting = max(1, round(_INTERVALS * settings.SAMPLE_SECONDS))
            cache.set(_key(connection_id), seconds, lasting)


def of(connection_id: UUID) -> float | None:
    """The seconds that are left, None if no end is in sight."""
    found: float | None = cache.get(_key(connection_id))
    return found


def _key(connection_id: UUID) -> str:
    return f"alerts:memory-left:{connection_id}"
