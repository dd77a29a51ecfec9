"""What people type after `dgxsite`, before anything is sent."""

from datetime import datetime

import pytest
from dgxsite_client.errors import Misuse
from dgxsite_client.parser import moment


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("22:00", "2026-11-22T22:00"),
        ("09:30", "2026-11-23T09:30"),
        ("2026-12-01", "2026-12-01T00:00"),
        ("2026-12-01T10:00", "2026-12-01T10:00"),
    ],
)
def test_a_time_is_this_machines(text: str, then: str) -> None:
    now = datetime(2026, 11, 22, 12, 0).astimezone()
    assert moment(text, now) == datetime.fromisoformat(then).astimezone()


@pytest.mark.parametrize("text", ["", "25:00", "soon", "2026-13-01", "0001-01-01T00:00+23:59"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(Misuse, match="--at takes"):
        moment(text, datetime.now().astimezone())
