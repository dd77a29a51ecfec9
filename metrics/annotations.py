"""Stretches of time that are marked behind the charts; other apps provide them, today alerts.

Metrics ask all of them and know none (`dgxsite/wiring.py`). A provider that fails is logged and
left out: the charts stand without its marks.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from core.hooks import Hook

logger = logging.getLogger(__name__)

# More than a person can tell apart in one window.
MOST = 200

Tone = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One stretch; `end` None goes on still, `gpu` None concerns the whole machine."""

    kind: str
    label: str
    start: datetime
    end: datetime | None
    tone: Tone = "info"
    gpu: int | None = None
    link: str = ""


# Asked with (connection_id, start, end) whenever a machine's charts are drawn: the marks that touch
# the window, in any order.
providers: Hook[[UUID, datetime, datetime], Iterable[Mark]] = Hook("a chart is drawn")


def is_empty() -> bool:
    """Nobody provides marks, so nobody needs to be asked."""
    return not providers


def marks(connection_id: UUID, start: datetime, end: datetime) -> Sequence[Mark]:
    """At most `MOST` marks that touch the window, the newest first."""
    found: list[Mark] = []
    for provider in providers:
        try:
            found += provider(connection_id, start, end)
        except Exception:
            logger.exception("connection=%s: a provider of marks failed", connection_id)
    return sorted(found, key=lambda mark: mark.start, reverse=True)[:MOST]
