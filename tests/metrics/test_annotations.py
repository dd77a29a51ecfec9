"""Marks behind the charts: every provider is asked, and one that fails harms nobody."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from metrics import annotations

START = datetime(2026, 11, 20, tzinfo=UTC)
END = START + timedelta(hours=1)


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    """What is registered counts for one test, beside what the site itself registers."""
    with annotations.providers.only(*annotations.providers):
        yield


def mark(minute: int) -> annotations.Mark:
    return annotations.Mark("alert", f"at {minute}", START + timedelta(minutes=minute), None)


def test_marks_of_all_providers_come_newest_first() -> None:
    annotations.providers.register(lambda connection_id, start, end: [mark(5), mark(50)])
    annotations.providers.register(lambda connection_id, start, end: [mark(20)])
    assert [one.label for one in annotations.marks(uuid4(), START, END)] == [
        "at 50",
        "at 20",
        "at 5",
    ]
    assert not annotations.is_empty()


def test_a_provider_that_fails_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(connection_id: UUID, start: datetime, end: datetime) -> list[annotations.Mark]:
        raise RuntimeError("broken")

    annotations.providers.register(fail)
    annotations.providers.register(lambda connection_id, start, end: [mark(1)])
    with caplog.at_level(logging.ERROR):
        assert [one.label for one in annotations.marks(uuid4(), START, END)] == ["at 1"]
    assert "a provider of marks failed" in caplog.text


def test_no_more_marks_than_can_be_told_apart() -> None:
    annotations.providers.register(
        lambda connection_id, start, end: [mark(minute) for minute in range(500)]
    )
    found = annotations.marks(uuid4(), START, END)
    assert len(found) == annotations.MOST
    assert found[0].label == "at 499"
