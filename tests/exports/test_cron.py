"""The times of schedules, against a walk through every minute."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from exports import cron

MOMENT = datetime(2026, 11, 22, 5, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hourly", "2026-11-22T06:07"),
        ("daily", "2026-11-23T02:17"),
        ("weekly", "2026-11-23T02:27"),
        ("* * * * *", "2026-11-22T05:08"),
        ("0 6 1 * *", "2026-12-01T06:00"),
        ("*/15 5 * * sun", "2026-11-22T05:15"),
        ("30 5 29 2 *", "2028-02-29T05:30"),
        ("0 0 29 2 1", "2044-02-29T00:00"),
    ],
)
def test_next_time(text: str, expected: str) -> None:
    found = cron.next_after(cron.fields(text), MOMENT)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(
    minute=st.sampled_from(["*", "0", "59", "*/7", "10-20", "5,55"]),
    hour=st.sampled_from(["*", "0", "23", "*/5", "8-17"]),
    later=st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_equals_a_walk_through_the_minutes(minute: str, hour: str, later: timedelta) -> None:
    moment = MOMENT + later
    found = cron.next_after(cron.fields(f"{minute} {hour} * * *"), moment)
    step = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while not (_fits(minute, step.minute) and _fits(hour, step.hour)):
        step += timedelta(minutes=1)
    assert found == step


def _fits(field: str, value: int) -> bool:
    if field == "*":
        return True
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    if "-" in field:
        first, last = field.split("-")
        return int(first) <= value <= int(last)
    return value in map(int, field.split(","))


@pytest.mark.parametrize(
    "text",
    ["", "daily please", "* * * *", "60 * * * *", "* 24 * * *", "0 0 30 2 *", "0 0 31 4 *",
     "a b c d e", "* * * * * *", "*/0 * * * *", "1-", "$(id) * * * *", "0" * 300],
)  # fmt: skip
def test_what_never_comes_or_makes_no_sense(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        cron.fields(text)
    assert caught.value.errors[0].field == "cron"
