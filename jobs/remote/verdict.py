"""What a machine's report says about a job: pure, from its record to the state it means.

Nothing is guessed: a job runs as long as anything of it lives, whatever is written down. It has
ended when nothing does and its supervisor wrote so; it is lost when nobody is left who could write.
The record lies where the job can write too: what can be no record is said, and believed of nobody.
"""

from dataclasses import dataclass

from jobs.models import Reason, Status
from jobs.remote.protocol import Seen

_SIGNALLED = 128
# Longer than a supervisor takes from one step to the next; long enough for a home folder over the
# network to come back.
ALONE_SECONDS = 4.0
ABSENT_SECONDS = 60.0
# Longer than a file takes to be written.
SPOILT_SECONDS = 2.0
# A machine with much to do may be slow to read; as long as one that is not seen at all.
UNREAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and why; what may soon look otherwise has to be seen for `doubt_seconds`."""

    status: Status
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    doubt_seconds: float = 0.0


def judge(
    seen: Seen,
    boot_id: str,
    *,
    is_stopping: bool,
    was_there: bool,
    was_alone: bool = False,
    began_under: str | None = None,
) -> Verdict:
    """The state of a job that was granted its place.

    `boot_id` is the machine's now, `began_under` the one that the job was seen alive under;
    `is_stopping` whether somebody wished it ended, `was_there` whether the machine has said before
    that it runs, `was_alone` whether it was seen alive after its supervisor.
    """
    if seen.is_alive or seen.is_supervised:
        return _living(seen, is_stopping=is_stopping)
    # Nothing of it lives from here on. Without a supervisor only the job could write an end; but
    # the end of a stop is also written by the stop itself, where the job had removed its folder.
    is_stopped = is_stopping and seen.ending in ("stop", "kill")
    if seen.exit_code is not None and (is_stopped or not was_alone):
        return _ended(seen.exit_code, seen.ending, is_stopping=is_stopping)
    if not seen.is_here:
        return _absent(was_there=was_there)
    began_under = began_under or seen.boot_id
    if began_under is not None and began_under != boot_id:
        return Verdict(
            Status.LOST, Reason.HOST_REBOOTED, "The machine was restarted while the job ran."
        )
    return _left_alone(seen)


def unread(why: str, doubt_seconds: float = UNREAD_SECONDS) -> Verdict:
    """Nothing can be said of a job whose record cannot be read."""
    return Verdict(Status.UNKNOWN, Reason.UNREADABLE, why, doubt_seconds=doubt_seconds)


def _living(seen: Seen, *, is_stopping: bool) -> Verdict:
    """An end that is written down while something of it lives is none."""
    if not seen.is_here:
        words = "It runs, but its folder on the machine is gone."
        return Verdict(Status.UNKNOWN, Reason.UNREADABLE, words)
    if seen.spoilt:
        words = f"Its record on the machine cannot be read: {', '.join(seen.spoilt)}."
        return unread(words, SPOILT_SECONDS)
    running = Status.STOPPING if is_stopping else Status.RUNNING
    if seen.is_alive:
        return Verdict(running, "" if seen.is_supervised else Reason.UNSUPERVISED)
    # About to begin, or about to write how it ended.
    return Verdict(running if seen.pid else Status.STARTING)


def _ended(code: int, ending: str | None, *, is_stopping: bool) -> Verdict:
    """A stop that nobody asked for is a word of the job's own."""
    if ending in ("stop", "kill") and is_stopping:
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
    if seen.spoilt:
        detail = f"Nothing of it lives, and how it ended cannot be read: {', '.join(seen.spoilt)}."
        return Verdict(Status.LOST, Reason.UNREADABLE, detail, doubt_seconds=ALONE_SECONDS)
    if seen.pid is None:
        detail = "Its supervisor ended before the command began."
        return Verdict(Status.LOST, Reason.NEVER_STARTED, detail, doubt_seconds=ALONE_SECONDS)
    detail = "Its supervisor was killed, so nobody wrote down how it ended."
    return Verdict(Status.LOST, Reason.SUPERVISOR_LOST, detail, doubt_seconds=ALONE_SECONDS)
