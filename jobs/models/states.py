"""The states of a job and the steps between them: one table that code and database go by.

`unknown` says that the machine cannot be seen, never that something went wrong; from there every
state is possible that the machine may report. The last four are final.
"""

from django.db import models
from django.db.models import Q


class Status(models.TextChoices):
    PENDING = "pending"  # made, not asked for yet
    QUEUED = "queued"
    STARTING = "starting"  # its GPUs are granted; the machine has not confirmed it
    RUNNING = "running"
    STOPPING = "stopping"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.STOPPED, Status.LOST})
# What a machine may know something about.
ACTIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING, Status.UNKNOWN})
WAITING = frozenset({Status.PENDING, Status.QUEUED})

_SEEN_RUNNING = frozenset({Status.RUNNING, Status.STOPPING, Status.UNKNOWN, *FINAL})

# From → to. The empty state is that of a row that is not there yet.
STEPS: dict[str, frozenset[str]] = {
    "": WAITING,
    Status.PENDING: frozenset({Status.QUEUED, Status.STOPPED}),
    Status.QUEUED: frozenset({Status.STARTING, Status.STOPPED}),
    Status.STARTING: _SEEN_RUNNING,
    Status.RUNNING: _SEEN_RUNNING - {Status.RUNNING},
    Status.STOPPING: frozenset({Status.UNKNOWN, *FINAL}),
    Status.UNKNOWN: frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING, *FINAL}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.STOPPED: frozenset(),
    Status.LOST: frozenset(),
}


class Reason(models.TextChoices):
    """Why a job is as it is, beside the exit code."""

    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    TIME_LIMIT = "time_limit"
    START_REFUSED = "start_refused"
    STOPPED = "stopped"
    HOST_REBOOTED = "host_rebooted"
    SUPERVISOR_LOST = "supervisor_lost"
    NEVER_STARTED = "never_started"
    RECORD_GONE = "record_gone"
    UNSUPERVISED = "unsupervised"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"


class IllegalStep(Exception):
    """A step that is not in the table."""


def is_legal(before: str, after: str) -> bool:
    return after in STEPS.get(before, frozenset())


def check(before: str, after: str) -> None:
    """Raise `IllegalStep` for a step that is not in the table."""
    if not is_legal(before, after):
        raise IllegalStep(f"{before or 'nothing'} → {after}")


def legal_pairs() -> Q:
    """The table as a condition over the columns `previous_status` and `status`."""
    pairs = Q()
    for before, after in STEPS.items():
        if after:
            pairs |= Q(previous_status=str(before), status__in=sorted(map(str, after)))
    return pairs
