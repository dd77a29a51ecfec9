"""Five fields of crontab(5), in UTC: parsed, checked, and asked for the next time.

Celery's own crontab reads the fields, as django-celery-beat does, so a day has to fit both the day
of the month and the day of the week. Pure functions; nothing here knows rows.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from celery.schedules import ParseException, crontab

from core.errors import Invalid

# Words in place of the five fields. Not on the hour, when everybody's cron runs.
PRESETS = {"hourly": "7 * * * *", "daily": "17 2 * * *", "weekly": "27 2 * * 1"}
_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_LONGEST = 200
# The 29th of February on a given weekday comes once in 28 years, but around 2100.
_FURTHEST = timedelta(days=41 * 366)


def fields(text: str) -> dict[str, str]:
    """The five fields by name, of a preset or of a line; `Invalid` if they never come true."""
    words = PRESETS.get(text.strip(), text).split()
    if len(words) != len(_FIELDS) or len(text) > _LONGEST:
        presets = ", ".join(PRESETS)
        raise Invalid.field("cron", f"Give {presets}, or five fields such as “0 6 * * 1”.")
    named = dict(zip(_FIELDS, words, strict=True))
    if next_after(named, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise Invalid.field("cron", "This day never comes.")
    return named


def next_after(named: dict[str, str], moment: datetime) -> datetime | None:
    """The first full minute after `moment` that fits; None if there is none in forty years."""
    try:
        times = crontab(**named)
    except (ParseException, ValueError, KeyError) as error:
        raise Invalid.field("cron", "This is no time that cron knows.") from error
    return next((at for at in _minutes(times, moment.date()) if at > moment), None)


def _minutes(times: crontab, first: date) -> Iterator[datetime]:
    for day in _days(times, first):
        for hour in sorted(times.hour):
            for minute in sorted(times.minute):
                yield datetime.combine(day, time(hour, minute), UTC)


def _days(times: crontab, first: date) -> Iterator[date]:
    for ahead in range(_FURTHEST.days):
        day = first + timedelta(days=ahead)
        # Cron's week begins with Sunday as 0.
        if (
            day.month in times.month_of_year
            and day.day in times.day_of_month
            and day.isoweekday() % 7 in times.day_of_week
        ):
            yield day
