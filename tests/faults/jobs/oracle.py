"""Which final state a machine's own record allows. Pure: what was noted there, in; states, out."""

from dataclasses import dataclass

# As a shell tells of signal 9.
_KILLED_CODE = 137


@dataclass(frozen=True)
class Record:
    """What the machine noted of one job, and what a trial did to it there.

    `end_code` is what the command said last, None if it was ended before it could. `was_cut`: its
    supervisor died before the end was written down. `was_killed`: a trial killed the command.
    """

    starts: int
    end_code: int | None = None
    heard_term: bool = False
    was_cut: bool = False
    was_killed: bool = False


@dataclass(frozen=True)
class Final:
    """What the site says of the job in the end, and whether its log is the machine's file."""

    status: str
    exit_code: int | None
    has_whole_log: bool = True


def complaints(record: Record, final: Final, *, stop_asked: bool) -> list[str]:
    """What is wrong with that end; empty when the machine agrees."""
    found = []
    if record.starts > 1:
        found.append(f"started {record.starts} times")
    right = statuses(record, stop_asked=stop_asked)
    codes = {record.end_code, _KILLED_CODE} if record.was_killed else {record.end_code}
    if final.status not in right:
        found.append(f"{final.status}, the machine allows {sorted(right) or 'nothing'}")
    if final.status == "lost":
        return found
    if record.end_code is not None and final.exit_code not in codes:
        found.append(f"exit code {final.exit_code}, on the machine {record.end_code}")
    if not final.has_whole_log:
        found.append("the log is not what lies on the machine")
    return found


def statuses(record: Record, *, stop_asked: bool) -> frozenset[str]:
    """The states that the record allows; none when it should have gone another way altogether."""
    if record.was_cut:
        return frozenset({"lost"})
    if record.heard_term:  # nobody but a stop sends it
        return frozenset({"stopped"})
    allowed = {"stopped"} if stop_asked else set()
    if record.end_code is not None:
        allowed.add("failed" if record.end_code else "completed")
    if record.was_killed:  # perhaps just after it had said its end
        allowed.add("failed")
    return frozenset(allowed)


def read(text: str, job_id: str) -> tuple[int, int | None, bool]:
    """How often a job started, its last exit code, and whether it heard TERM, from a record's text.

    Its lines are `start ID BOOT PID`, `term ID` and `end ID CODE`.
    """
    lines = [line.split() for line in text.splitlines()]
    own = [words for words in lines if len(words) > 1 and words[1] == job_id]
    codes = [int(words[2]) for words in own if words[0] == "end"]
    starts = sum(words[0] == "start" for words in own)
    return starts, codes[-1] if codes else None, any(words[0] == "term" for words in own)
