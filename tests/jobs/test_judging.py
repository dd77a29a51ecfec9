"""What a report means where it is easily mistaken."""

import pytest

from jobs.judging import judge
from jobs.remote import Seen
from jobs.states import Status


@pytest.mark.parametrize("is_stopping", [True, False])
def test_between_its_last_breath_and_its_exit_code_a_job_is_as_it_was(is_stopping: bool) -> None:
    """The process is gone, its supervisor has not written the end yet."""
    seen = Seen(True, True, False, 7, 8, "boot", None, None, None, 0, b"")
    verdict = judge(seen, "boot", is_stopping=is_stopping, was_there=True)
    before = Status.STOPPING if is_stopping else Status.RUNNING
    assert verdict.status == before
