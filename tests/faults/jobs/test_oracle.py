"""The judge itself: what a machine's record allows, and what it does not."""

import pytest

from tests.faults.jobs.oracle import Final, Record, complaints, read, statuses

_CASES = [
    (Record(1, 0), False, {"completed"}),
    (Record(1, 3), False, {"failed"}),
    (Record(1, 3), True, {"failed", "stopped"}),
    (Record(1, 7, heard_term=True), True, {"stopped"}),
    (Record(1), True, {"stopped"}),
    (Record(0), True, {"stopped"}),
    (Record(0), False, set()),
    (Record(1), False, set()),
    (Record(1, was_killed=True), False, {"failed"}),
    (Record(1, 0, was_killed=True), False, {"completed", "failed"}),
    (Record(1, 0, was_cut=True), True, {"lost"}),
]


@pytest.mark.parametrize(("record", "stop_asked", "expected"), _CASES)
def test_what_a_record_allows(record: Record, stop_asked: bool, expected: set[str]) -> None:
    assert statuses(record, stop_asked=stop_asked) == expected


def test_a_right_end_has_no_complaint() -> None:
    assert complaints(Record(1, 3), Final("failed", 3), stop_asked=False) == []


def test_who_is_killed_after_the_last_word_has_the_code_of_that() -> None:
    record = Record(1, 3, was_killed=True)
    assert complaints(record, Final("failed", 137), stop_asked=False) == []
    assert len(complaints(record, Final("failed", 1), stop_asked=False)) == 1


@pytest.mark.parametrize(
    ("record", "final"),
    [
        (Record(2, 3), Final("failed", 3)),
        (Record(1, 3), Final("completed", 3)),
        (Record(1, 3), Final("failed", 4)),
        (Record(1, 3), Final("failed", 3, has_whole_log=False)),
        (Record(1, 3), Final("unknown", 3)),
        (Record(1, 3), Final("lost", None)),
    ],
)
def test_a_wrong_end_has_one(record: Record, final: Final) -> None:
    assert len(complaints(record, final, stop_asked=False)) == 1


def test_a_record_is_read_line_by_line() -> None:
    text = "start a boot 1\nstart b boot 2\nterm a\nend b 4\nend a 7\nstart a boot 3\nen"
    assert read(text, "a") == (2, 7, True)
    assert read(text, "b") == (1, 4, False)
    assert read(text, "c") == (0, None, False)
