"""Moments: how one is written for other programs, and which of those that arrive are taken."""

from datetime import UTC, datetime

# The site keeps nothing from before and plans nothing for after. Python's years 1 and 9999 leave
# its calendar in another zone, and PostgreSQL knows no offset beyond 15:59 hours.
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()
OUTSIDE = "A time lies in the years 2000 to 2099 of UTC."


def iso(moment: datetime | None) -> str | None:
    """UTC, ISO 8601 with milliseconds and a `Z`; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(moment: datetime) -> datetime:
    """The same moment in UTC, and UTC where it has no zone; `ValueError` outside `FIRST` to `LAST`.

    `LAST` itself is taken, for it ends the last span.
    """
    try:
        found = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(OUTSIDE) from error
    if not FIRST <= found <= LAST:
        raise ValueError(OUTSIDE)
    return found


def read(text: str) -> datetime:
    """The moment that an ISO 8601 text names, as `utc` gives it; `ValueError` otherwise."""
    return utc(datetime.fromisoformat(text))
