"""Writing down what a machine said of one job: log, process and state, in one transaction.

Every write is fenced by the machine's epoch and names what it continues: the log its offset, the
state the one before. So a report that is written twice changes nothing the second time.
"""

import math
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from connections.keeper import leases
from connections.keeper.link import Link
from jobs import broadcast, masking
from jobs import lifecycle as jobs_lifecycle
from jobs.hidden_values import secrets_of
from jobs.keeper import failpoints, log_budget
from jobs.keeper.starter import Starter
from jobs.log import store as log_store
from jobs.models import FINAL, Job, Kind, Reason, Status
from jobs.remote import protocol as remote_protocol
from jobs.remote.verdict import Verdict, judge, unread

# How long our copy of a log is taken to be whole once it was looked at.
WHOLE_SECONDS = 10.0
# What is shorter than this waits a round if the last was kept less than this ago: a transaction for
# each short line would cost the database several times the line.
SHORT_BYTES = 128
SHORT_SECONDS = 1.5


class Writer:
    """Keeps what is read of one machine's jobs."""

    def __init__(self, link: Link, starter: Starter) -> None:
        self._link = link
        self._starter = starter
        self._doubts: dict[UUID, float] = {}
        self._secrets: dict[UUID, list[bytes]] = {}
        self._whole_until: dict[UUID, float] = {}
        self._appended: dict[UUID, float] = {}

    def write(self, job: Job, report: remote_protocol.Report) -> bool:
        """Keep what was read of one job; whether more of its log is waiting."""
        if job.pk in report.unread:
            self._note_unread(job, report.unread[job.pk])
            return False
        seen = report.jobs.get(job.pk)
        if seen is None:
            return False
        verdict = self._verdict(job, seen, report.boot_id)
        if self._is_torn(job, at_once=verdict is not None and verdict.status in FINAL):
            return True
        before, offset = job.status, job.log_bytes
        rest = log_store.awaited(job, seen.log_size) - len(seen.log)
        is_over = verdict is not None and verdict.status in FINAL
        is_whole = is_over and rest <= 0
        data = masking.mask(seen.log, self._secrets_of(job), is_end=is_whole)
        if _is_no_news(job, seen, verdict) and (not data or self._may_wait(job, data, rest)):
            return rest > 0
        failpoints.reach("pre_commit")
        with leases.fenced(self._link.connection_id, self._link.epoch):
            data = self._append(job, data)
            # The end is written with the last of the log.
            if verdict is not None and not (rest > 0 and is_over):
                _note_process(job, seen)
                _move(job, verdict, seen.ended_ago)
        failpoints.reach("post_commit")
        if data:
            broadcast.log(job, offset, data)
        if job.status != before:
            broadcast.job(job)
        return rest > 0

    def _is_torn(self, job: Job, *, at_once: bool) -> bool:
        """Whether our copy has lost its end. Looked at now and then, and before the log is closed:
        between, `append` sees it by itself.
        """
        now = time.monotonic()
        if not at_once and now < self._whole_until.get(job.pk, 0.0):
            return False
        if log_store.step_back(job):
            return True
        self._whole_until[job.pk] = now + WHOLE_SECONDS * settings.TIME_SCALE
        return False

    def _may_wait(self, job: Job, data: bytes, rest: int) -> bool:
        """Whether so little comes so soon after the last that it is kept with what follows."""
        if rest > 0 or len(data) >= SHORT_BYTES:
            return False
        last = self._appended.get(job.pk, -math.inf)
        return time.monotonic() - last < SHORT_SECONDS * settings.TIME_SCALE

    def _append(self, job: Job, data: bytes) -> bytes:
        try:
            kept = log_store.append(job, data, timezone.now())
        except log_store.Overtaken:
            self._whole_until.pop(job.pk, None)
            raise
        log_budget.of(self._link.connection_id).spend(len(kept))
        if kept:
            self._appended[job.pk] = time.monotonic()
        return kept

    def forget_all_but(self, living: Collection[UUID]) -> None:
        kept = (self._whole_until, self._appended)
        for memory in (self._doubts, self._secrets, *kept, self._starter.refusals):
            for gone in memory.keys() - set(living):
                memory.pop(gone)
        self._starter.abandoned &= set(living)

    def _note_unread(self, job: Job, why: str) -> None:
        """Its record could not be read: nothing is known of it until it can."""
        verdict = self._lasting(job, unread(why))
        if verdict is None or _is_told(job, verdict):
            return
        with leases.fenced(self._link.connection_id, self._link.epoch):
            _move(job, verdict)
        broadcast.job(job)

    def _verdict(self, job: Job, seen: remote_protocol.Seen, boot_id: str) -> Verdict | None:
        """What the report means; None while it may still mean something else."""
        is_ended = seen.exit_code is not None or not seen.is_here
        if job.pk in self._starter.abandoned and seen.pid is None and is_ended:
            return Verdict(Status.FAILED, Reason.START_REFUSED, self._starter.refusal_of(job))
        verdict = judge(
            seen,
            boot_id,
            is_stopping=job.stop_requested_at is not None,
            was_there=job.pid is not None,
            was_alone=job.reason == Reason.UNSUPERVISED,
            began_under=job.boot_id or None,
        )
        return self._lasting(job, verdict)

    def _lasting(self, job: Job, verdict: Verdict) -> Verdict | None:
        """None while what is in doubt has not been seen for long enough."""
        if not verdict.doubt_seconds:
            self._doubts.pop(job.pk, None)
            return verdict
        since = self._doubts.setdefault(job.pk, time.monotonic())
        is_sure = time.monotonic() - since > verdict.doubt_seconds * settings.TIME_SCALE
        return verdict if is_sure else None

    def _secrets_of(self, job: Job) -> list[bytes]:
        if job.pk not in self._secrets:
            self._secrets[job.pk] = secrets_of(job)
        return self._secrets[job.pk]


def _is_no_news(job: Job, seen: remote_protocol.Seen, verdict: Verdict | None) -> bool:
    """Whether the row says all that already; most reports of a quiet job are so."""
    if verdict is None:
        return True
    is_known = (seen.pid is None or job.pid is not None) and (
        not seen.container_id or bool(job.container_id)
    )
    return is_known and _is_told(job, verdict)


def _is_told(job: Job, verdict: Verdict) -> bool:
    """Whether the row says so already, also why it cannot say more."""
    is_same = (verdict.status, verdict.reason) == (job.status, job.reason)
    return is_same and (verdict.status != Status.UNKNOWN or verdict.detail == job.detail)


def known(job: Job) -> remote_protocol.Known | None:
    """The process by which the machine is asked for a job; None while none was seen alive."""
    if job.pid is None or job.start_ticks is None:
        return None
    return remote_protocol.Known(job.pid, job.start_ticks, job.boot_id)


def _note_process(job: Job, seen: remote_protocol.Seen) -> None:
    """Which process and container it is, once the machine says so.

    A process that was not seen alive has no start: what a job writes of one makes it nobody's.
    """
    changes: dict[str, object] = {}
    if seen.pid is not None and job.pid is None:
        changes = {
            "pid": seen.pid,
            "start_ticks": seen.start if seen.is_first_alive else None,
            "boot_id": seen.boot_id or "",
            "started_at": _moment(seen.began_ago, job.queued_at),
        }
    if seen.container_id and not job.container_id and job.kind == Kind.CONTAINER:
        changes["container_id"] = seen.container_id
    if changes:
        Job.objects.filter(pk=job.pk).update(**changes)
        for name, value in changes.items():
            setattr(job, name, value)


def _moment(ago: int | None, earliest: datetime | None) -> datetime:
    """When it happened on the machine, which may be long before the site could see it."""
    now = timezone.now()
    then = now - timedelta(seconds=ago or 0)
    # The machine's clock may have been set between.
    return then if earliest is None else min(now, max(then, earliest))


def _move(job: Job, verdict: Verdict, ended_ago: int | None = None) -> None:
    if verdict.status in FINAL:
        jobs_lifecycle.finish(job, verdict, _moment(ended_ago, job.started_at or job.queued_at))
    elif verdict.status != job.status:
        job.move(
            verdict.status,
            settings.SITE_ACTOR,
            verdict.detail or "The machine says so.",
            reason=verdict.reason,
            detail=verdict.detail,
        )
    elif not _is_told(job, verdict):
        job.reason, job.detail = verdict.reason, verdict.detail
        job.save(update_fields=["reason", "detail"])
