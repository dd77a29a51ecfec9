"""The end of a job, and what follows from it: another try, and those that come after it."""

import logging
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core import cleaner
from core.security.crypto import SecretUnreadable
from jobs.log import store as log_store
from jobs.models import Job, JobChange, Reason, Status
from jobs.remote.verdict import Verdict

logger = logging.getLogger(__name__)

_NOT_TRIED_AGAIN = (
    "It is not tried again: its environment cannot be decrypted with the site's keys."
)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
# A job that was too long, or that nobody could start, would only do so again.
_TRIED_AGAIN = frozenset(
    {
        Reason.EXIT_CODE,
        Reason.SIGNAL,
        Reason.HOST_REBOOTED,
        Reason.SUPERVISOR_LOST,
        Reason.NEVER_STARTED,
    }
)
# What another try takes over from the one before.
COPIED = (
    "project_id",
    "connection_id",
    "name",
    "model_name",
    "kind",
    "command",
    "image",
    "virtualenv",
    "conda_env",
    "secret_names",
    "config",
    "gpus",
    "wait_for_gpu",
    "priority",
    "max_minutes",
    "max_retries",
    "requested_by_id",
)


@transaction.atomic
def finish(job: Job, verdict: Verdict, ended_at: datetime) -> Job | None:
    """Write the end of a job; the next try, if the site makes one."""
    moved = job.move(
        verdict.status,
        settings.SITE_ACTOR,
        verdict.detail,
        reason=verdict.reason,
        detail=verdict.detail,
        exit_code=verdict.exit_code,
        log_complete=True,
        completed_at=ended_at,
    )
    if not moved:
        return None
    log_store.seal(job)
    # The row is ours until the end of the transaction: who wished a stop did so before.
    job.refresh_from_db(fields=["stop_requested_at"])
    if not is_tried_again(job):
        return None
    try:
        return _try_again(job)
    except SecretUnreadable:
        # The end itself is written all the same.
        logger.exception("job=%s is not tried again", job.pk)
        _say_not_tried_again(job)
        return None


def is_tried_again(job: Job) -> bool:
    """Whether the site makes another try of a job that has just ended so."""
    is_worth_it = job.reason in _TRIED_AGAIN and job.stop_requested_at is None
    return is_worth_it and job.attempt <= job.max_retries


def copy_of(job: Job) -> Job:
    """A new row, not stored, that asks for the same again."""
    new = Job(pk=uuid4(), retry_of=job, **{name: getattr(job, name) for name in COPIED})
    new.environment = job.environment
    return new


def enqueue_new(new: Job, who: str, why: str) -> None:
    """Store a job that is asked for at once."""
    new.status, new.queued_at = Status.QUEUED, timezone.now()
    new.save(force_insert=True)
    JobChange.objects.create(job=new, to_status=Status.QUEUED, who=who, why=why)


def inherit_followers(before: Job, after: Job) -> None:
    """What waited for one try waits for the next."""
    waiting = Job.objects.filter(after=before, status__in=(Status.PENDING, Status.QUEUED))
    waiting.update(after=after)


def _say_not_tried_again(job: Job) -> None:
    job.detail = cleaner.line(f"{job.detail} {_NOT_TRIED_AGAIN}".strip(), 500)
    Job.objects.filter(pk=job.pk).update(detail=job.detail)


def _try_again(job: Job) -> Job:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (job.attempt - 1)) * settings.TIME_SCALE
    new = copy_of(job)
    new.attempt = job.attempt + 1
    new.not_before = timezone.now() + pause
    enqueue_new(new, settings.SITE_ACTOR, f"Try {new.attempt} of {job.max_retries + 1}.")
    inherit_followers(job, new)
    return new
