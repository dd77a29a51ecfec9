"""One machine's jobs, round by round: let start, start, stop, read, write down.

Each round reads the rows, leaves the database, talks to the machine, and writes what it said under
the machine's epoch. Everything may be repeated: a start finds that the folder is there, a log
piece that it was appended, a state that it is no news. So a keeper may die at any point.
"""

import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.utils import timezone

from connections import ssh
from connections.keeper import leases
from connections.keeper.link import Link
from core.background import isolation
from jobs import broadcast
from jobs.keeper import failpoints, log_budget
from jobs.keeper.origin_collector import OriginCollector
from jobs.keeper.recorder import Writer, known
from jobs.keeper.starter import Starter
from jobs.log import store as log_store
from jobs.models import FINAL, Job, MachineQueue, Status
from jobs.queue import grant as queue_grant
from jobs.queue.gpu_history import History
from jobs.queue.waiting_list import WaitingList
from jobs.remote import client as remote_client
from jobs.remote import protocol as remote_protocol
from jobs.remote.launch import GRACE_SECONDS

# What a polite stop may take beside its grace before it is made a kill.
STOP_PATIENCE_SECONDS = 15.0
# Each takes a moment, in which the others are not looked at.
STARTS_PER_ROUND = 4
# What one round shows of a queue in which everything has changed.
TOLD_PER_ROUND = 40
# Whose record takes long to read holds all others of its machine up: not more often than this.
SLOW_PAUSE_SECONDS = 10.0
# How often it is noted that the machine is seen; `jobs.keeper.unreachable` is more patient than
# that.
SEEN_SECONDS = 2.0
# Somebody waits for the first line of a job that has just begun: look this much more often.
EAGERNESS = 5
YOUNG = timedelta(seconds=5)

# Errors of the session or the lease, which are no single job's.
_OF_THE_MACHINE = (
    leases.LeaseLost,
    ssh.SessionLost,
    ssh.CommandTimeout,
    remote_protocol.Unreadable,
    log_store.Overtaken,
)
_NOT_STARTED = "The site failed to start it and tries again; the site's log says why."
_NOT_STOPPED = "The site failed to stop it and tries again; the site's log says why."
_NOT_WRITTEN = "What the machine says of it cannot be written down; the site's log says why."


class Reconciler:
    """Looks after the jobs of one session's machine, on one thread."""

    def __init__(self, link: Link, history: History) -> None:
        self._link = link
        self._history = history
        self._starter = Starter(link)
        self._writer = Writer(link, self._starter)
        self._beginnings = OriginCollector(link)
        self._seen_at = -math.inf
        self._budget = log_budget.of(link.connection_id)
        self._stops: dict[UUID, float] = {}
        self._slow: dict[UUID, float] = {}
        self._line_up = WaitingList()
        self._untold: dict[UUID, None] = {}

    def reconcile(self) -> float | None:
        """Do what is to be done now; seconds until the next round, None when there is no job.

        Raises `leases.LeaseLost` and what `connections.ssh` and the database raise.
        """
        # A queue that cannot be decided keeps nobody from those that run.
        isolation.each(
            [self._link.connection_id], self._grant, name="the queue of", passing=_OF_THE_MACHINE
        )
        active = self._active()
        living = {job.pk for job in active}
        self._history.hold({key: job.pk for job in active for key in job.granted or ()}, living)
        self._forget_all_but(living)
        origins = self._beginnings.awaited(active)
        if not active and not origins:
            return settings.JOBS_IDLE_SECONDS if self._line_up.places else None
        if self._tend(active, origins):
            return 0.0
        is_awaited = any(_is_awaited(job) for job in active)
        return settings.JOBS_SECONDS / (EAGERNESS if is_awaited else 1)

    def _active(self) -> list[Job]:
        rows = Job.objects.active().filter(connection_id=self._link.connection_id)
        return list(rows.select_related("connection__team", "requested_by", "project__connection"))

    def _tell(self, changed: Sequence[UUID]) -> None:
        """Show what the queue decided, of a long one in turns: a push is a hint."""
        self._untold |= dict.fromkeys(changed)
        told = list(self._untold)[:TOLD_PER_ROUND]
        for job in queue_grant.rows_of(told) if told else ():
            broadcast.job(job)
        for job_id in told:
            del self._untold[job_id]

    def _tend(self, jobs: Sequence[Job], origins: Sequence[UUID]) -> bool:
        """Act on the machine and write what it says; whether more of a log is waiting."""
        database.close()  # a pooled connection is somebody's while we talk
        # Both are chosen before anything is done: a last try is given up in a later round.
        to_stop = [job for job in jobs if self._is_to_stop(job)]
        to_start = [job for job in jobs if self._starter.is_due(job)]
        self._each(to_start[:STARTS_PER_ROUND], self._start, "starting", _say_not_started)
        self._each(to_stop, self._stop, "stopping", _say_not_stopped)
        share = self._log_share(len(jobs))
        asks = [
            remote_protocol.Ask(
                job.pk, job.log_bytes, 0 if log_store.is_full(job) else share, known(job)
            )
            for job in self._readable(jobs)
        ]
        report = remote_client.report(self._link, asks, self._history.unknown_pids(), origins)
        self._note_seen()
        self._slow |= dict.fromkeys(report.unread, time.monotonic() + SLOW_PAUSE_SECONDS)
        self._history.learn_owners(report.owners)
        self._beginnings.keep(report.origins)
        written = self._each(
            jobs, lambda job: self._write(job, report), "writing down", _say_not_written
        )
        return written > 0 and self._budget.left() > 0

    def _note_seen(self) -> None:
        """Every few rounds: others only want to know whether it was lately."""
        now = time.monotonic()
        if now - self._seen_at >= SEEN_SECONDS * settings.TIME_SCALE:
            self._seen_at = now
            MachineQueue(pk=self._link.connection_id).note_seen()

    def _log_share(self, count: int) -> int:
        """How many bytes of log each of so many jobs may send now."""
        return min(remote_client.LOG_BYTES_PER_REPORT, self._budget.left()) // max(1, count)

    def _grant(self, connection_id: UUID) -> None:
        self._tell(
            queue_grant.grant_on(
                connection_id, self._link.epoch, self._history.devices, self._line_up
            )
        )

    def _each(
        self,
        jobs: Sequence[Job],
        work: Callable[[Job], object],
        doing: str,
        say: isolation.Failed[Job],
    ) -> int:
        """One job that fails is told so and leaves the others their turn."""
        return isolation.each(
            jobs, work, name=f"{doing} a job of {self._link}:", failed=say, passing=_OF_THE_MACHINE
        )

    def _write(self, job: Job, report: remote_protocol.Report) -> bool:
        is_more = self._writer.write(job, report)
        if job.detail == _NOT_WRITTEN:  # it is no longer so
            _say(job, "")
        return is_more

    def _readable(self, jobs: Sequence[Job]) -> list[Job]:
        """Those to ask for now; what could not be read in time comes last, and not every round."""
        now = time.monotonic()
        return [job for job in jobs if job.pk not in self._slow] + [
            job for job in jobs if self._slow.get(job.pk, now) < now
        ]

    def _is_to_stop(self, job: Job) -> bool:
        if job.stop_requested_at is None and not self._starter.is_given_up(job):
            return False
        sent = self._stops.get(job.pk)
        patience = (GRACE_SECONDS + STOP_PATIENCE_SECONDS) * settings.TIME_SCALE
        return sent is None or time.monotonic() - sent > patience

    def _start(self, job: Job) -> None:
        if refusal := self._starter.start(job):
            _say(job, refusal)

    def _stop(self, job: Job) -> None:
        remote_client.stop(self._link, job.pk, kill=job.pk in self._stops, known=known(job))
        self._stops[job.pk] = time.monotonic()
        if self._starter.is_given_up(job):
            self._starter.abandoned.add(job.pk)
        failpoints.reach("mid_stop")

    def _forget_all_but(self, living: set[UUID]) -> None:
        self._stops = {id: at for id, at in self._stops.items() if id in living}
        self._slow = {id: until for id, until in self._slow.items() if id in living}
        self._writer.forget_all_but(living)


def _say_not_started(job: Job, error: Exception) -> None:
    _say(job, _NOT_STARTED)


def _say_not_stopped(job: Job, error: Exception) -> None:
    _say(job, _NOT_STOPPED)


def _say_not_written(job: Job, error: Exception) -> None:
    _say(job, _NOT_WRITTEN)


def _say(job: Job, detail: str) -> None:
    rows = Job.objects.filter(pk=job.pk).exclude(status__in=FINAL).exclude(detail=detail)
    if rows.update(detail=detail):
        job.refresh_from_db()
        broadcast.job(job)


def _is_awaited(job: Job) -> bool:
    if job.started_at is None:
        return job.status == Status.STARTING
    return job.log_bytes == 0 and timezone.now() - job.started_at < YOUNG
