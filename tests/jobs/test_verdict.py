"""What a report means where it is easily mistaken."""

import pytest

from jobs.models import Reason, Status
from jobs.remote.protocol import Seen
from jobs.remote.verdict import judge


@pytest.mark.parametrize("is_stopping", [True, False])
def test_between_its_last_breath_and_its_exit_code_a_job_is_as_it_was(is_stopping: bool) -> None:
    """The process is gone, its supervisor has not written the end yet."""
    seen = Seen(True, True, False, 7, 8, "boot", None, None, None, 0, b"")
    verdict = judge(seen, "boot", is_stopping=is_stopping, was_there=True)
    before = Status.STOPPING if is_stopping else Status.RUNNING
    assert verdict.status == before


def test_what_may_be_on_its_way_is_not_lost_at_once() -> None:
    """Its folder is there, and nobody in it yet, or no longer: the next word may still come."""
    for pid in (None, 7):
        seen = Seen(True, False, False, pid, pid, "boot" if pid else None, None, None, None, 0, b"")
        verdict = judge(seen, "boot", is_stopping=False, was_there=True)
        assert verdict.status == Status.LOST
        assert verdict.doubt_seconds > 1


def test_after_a_restart_nobody_is_waited_for() -> None:
    seen = Seen(True, False, False, 7, 8, "before", None, None, None, 0, b"")
    verdict = judge(seen, "after", is_stopping=True, was_there=True)
    assert (verdict.status, verdict.reason) == (Status.LOST, Reason.HOST_REBOOTED)
    assert not verdict.doubt_seconds


def test_an_end_counts_when_nothing_of_the_job_lives() -> None:
    for alive, supervised in ((True, False), (False, True), (True, True)):
        seen = Seen(True, supervised, alive, 7, 8, "boot", 0, None, None, 0, b"")
        verdict = judge(seen, "boot", is_stopping=False, was_there=True)
        assert verdict.status == Status.RUNNING
    seen = Seen(True, False, False, 7, 8, "boot", 0, None, None, 0, b"")
    assert judge(seen, "boot", is_stopping=False, was_there=True).status == Status.COMPLETED


def test_without_a_supervisor_nobody_writes_an_end() -> None:
    seen = Seen(True, False, False, 7, 8, "boot", 0, None, None, 0, b"")
    verdict = judge(seen, "boot", is_stopping=False, was_there=True, was_alone=True)
    assert (verdict.status, verdict.reason) == (Status.LOST, Reason.SUPERVISOR_LOST)


@pytest.mark.parametrize(
    ("is_stopping", "expected"), [(True, Status.STOPPED), (False, Status.LOST)]
)
def test_a_stop_that_was_asked_for_is_one_also_in_a_folder_made_anew(
    is_stopping: bool, expected: str
) -> None:
    """Its supervisor's record went with the folder, so it was seen alone while it ended."""
    seen = Seen(True, False, False, 7, 8, "boot", 143, "stop", None, 0, b"")
    verdict = judge(seen, "boot", is_stopping=is_stopping, was_there=True, was_alone=True)
    assert verdict.status == expected


def test_a_stop_that_nobody_asked_for_is_no_stop() -> None:
    seen = Seen(True, False, False, 7, 8, "boot", 0, "stop", None, 0, b"")
    assert judge(seen, "boot", is_stopping=False, was_there=True).status == Status.COMPLETED
    assert judge(seen, "boot", is_stopping=True, was_there=True).status == Status.STOPPED


@pytest.mark.parametrize(("is_alive", "expected"), [(True, "unknown"), (False, "lost")])
def test_a_spoilt_record_says_nothing(is_alive: bool, expected: str) -> None:
    seen = Seen(
        True, False, is_alive, 7, 8, "boot", None, None, None, 0, b"", spoilt=("exit", "log")
    )
    verdict = judge(seen, "boot", is_stopping=False, was_there=True)
    assert (verdict.status, verdict.reason) == (expected, Reason.UNREADABLE)
    assert "exit, log" in verdict.detail
    assert verdict.doubt_seconds > 1
