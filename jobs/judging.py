"""What a machine's report says about a job: pure, from its record to the state it means.

Nothing is guessed: a job has ended when its supervisor wrote so, it runs when the process that was
written down still lives, it is lost when neither is and nobody is left who could write.
"""

from dataclasses import dataclass

from jobs.remote import Seen
from jobs.states import Reason, Status

_SIGNALLED = 128
# Longer than a supervisor takes from one step to the next; long enough for a home folder over the
# network to come back.
ALONE_SECONDS = 4.0
ABSENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and why; what may soon look otherwise has to be seen for `doubt_seconds`."""

    status: Status
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    doubt_seconds: float = 0.0


def judge(seen: Seen, boot_id: str, *, is_stopping: bool, was_there: bool) -> Verdict:
    """The state of a job that was granted its place.

    `boot_id` is the machine's now, `is_stopping` whether somebody wished it ended, `was_there`
    whether the machine has said before that it runs.
    """
    if seen.exit_code is not None:
        return _ended(seen.exit_code, seen.ending)
    running = Status.STOPPING if is_stopping else Status.RUNNING
    if seen.is_alive:
        alone = "" if seen.is_supervised else Reason.UNSUPERVISED
        return Verdict(running, alone)
    if not seen.is_here:
        return _absent(was_there=was_there)
    if seen.boot_id is not None and seen.boot_id != boot_id:
        return Verdict(
            Status.LOST, Reason.HOST_REBOOTED, "The machine was restarted while the job ran."
        )
    if seen.is_supervised:  # about to begin, or about to write how it ended
        return Verdict(running if seen.pid else Status.STARTING)
    return _left_alone(seen)


def _ended(code: int, ending: str | None) -> Verdict:
    if ending in ("stop", "kill"):
        return Verdict(Status.STOPPED, Reason.STOPPED, "It was stopped.", code)
    if ending == "time_limit":
        return Verdict(Status.FAILED, Reason.TIME_LIMIT, "It ran longer than its time limit.", code)
    if code == 0:
        return Verdict(Status.COMPLETED, exit_code=0)
    if code > _SIGNALLED:
        detail = f"Signal {code - _SIGNALLED} ended it."
        return Verdict(Status.FAILED, Reason.SIGNAL, detail, code)
    return Verdict(Status.FAILED, Reason.EXIT_CODE, f"It ended with exit code {code}.", code)


def _absent(*, was_there: bool) -> Verdict:
    if not was_there:
        return Verdict(Status.STARTING)
    detail = "The machine has no record of it any more: its folder was removed."
    return Verdict(Status.LOST, Reason.RECORD_GONE, detail, doubt_seconds=ABSENT_SECONDS)


def _left_alone(seen: Seen) -> Verdict:
    if seen.pid is None:
        detail = "Its supervisor ended before the command began."
        return Verdict(Status.LOST, Reason.NEVER_STARTED, detail, doubt_seconds=ALONE_SECONDS)
    detail = "Its supervisor was killed, so nobody wrote down how it ended."
    return Verdict(Status.LOST, Reason.SUPERVISOR_LOST, detail, doubt_seconds=ALONE_SECONDS)
