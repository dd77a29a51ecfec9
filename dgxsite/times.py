"""How a moment is written for other programs."""

from datetime import UTC, datetime


def iso(moment: datetime | None) -> str | None:
    """UTC, ISO 8601 with milliseconds and a `Z`; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
