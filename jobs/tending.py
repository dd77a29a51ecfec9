"""One machine's jobs, round by round: let start, start, stop, read, write down.

Each round reads the rows, leaves the database, talks to the machine, and writes what it said under
the machine's epoch. Everything may be repeated: a start finds that the folder is there, a log
piece that it was appended, a state that it is no news. So a keeper may die at any point.
"""

import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from connections import ssh
from connections.link import Link
from dgxsite.crypto import SecretUnreadable
from dgxsite.errors import SiteError
from jobs import (
    announce,
    failpoints,
    fencing,
    finishing,
    granting,
    launching,
    logs,
    masking,
    remote,
)
from jobs.devices import Device, Rules
from jobs.history import History
from jobs.judging import Verdict, judge
from jobs.models import Job, Kind, MachineQueue
from jobs.states import FINAL, Reason, Status
from projects import services as projects

logger = logging.getLogger(__name__)

REPORT_SECONDS = 15.0
START_SECONDS = 40.0
LOG_BYTES_PER_REPORT = 2 * 2**20
_HEADERS_BYTES = 256 * 1024
MOST_START_TRIES = 5
# How long what looks lost may still turn out otherwise, and a polite stop may take beside its
# grace before it is made a kill.
DOUBT_SECONDS = 4.0
STOP_PATIENCE_SECONDS = 15.0
GRACE_SECONDS = 30


class Tender:
    """Looks after the jobs of one session's machine, on one thread."""

    def __init__(self, link: Link, history: History) -> None:
        self._link = link
        self._history = history
        self._doubts: dict[UUID, float] = {}
        self._stops: dict[UUID, float] = {}
        self._refusals: dict[UUID, str] = {}
        self._secrets: dict[UUID, list[bytes]] = {}

    def round(self) -> float | None:
        """Do what is to be done now; seconds until the next round, None when there is no job.

        Raises `fencing.LeaseLost` and what `connections.ssh` and the database raise.
        """
        for job in granting.grant(self._link.connection_id, self._link.epoch, self._devices):
            announce.job(job)
        jobs = self._jobs()
        active = [job for job in jobs if job.status != Status.QUEUED]
        self._history.hold({key: job.pk for job in active for key in job.granted or ()})
        self._forget_all_but(jobs)
        if not active:
            return settings.JOBS_IDLE_SECONDS if jobs else None
        is_more = self._tend(active)
        return 0.0 if is_more else settings.JOBS_SECONDS

    def _devices(self, rules: Rules) -> Sequence[Device] | None:
        return self._history.devices(rules)

    def _jobs(self) -> list[Job]:
        rows = Job.objects.filter(connection_id=self._link.connection_id)
        rows = rows.exclude(status__in=[*FINAL, Status.PENDING])
        return list(rows.select_related("connection__team", "requested_by", "project__connection"))

    def _tend(self, jobs: Sequence[Job]) -> bool:
        """Act on the machine and write what it says; whether more of a log is waiting."""
        database.close()  # a pooled connection is somebody's while we talk
        asks = self._asks(jobs)
        report: remote.Report | None = None
        for job in jobs:
            if self._is_to_start(job):
                self._start(job)
            elif self._is_to_stop(job):
                self._stop(job, asks)
        report = self._report(asks)
        MachineQueue(pk=self._link.connection_id).note_seen()
        self._history.learn_owners(report.owners)
        rests = [self._write(job, report) for job in jobs]
        return any(rests)

    # --- Start and stop ---------------------------------------------------------------------

    def _is_to_start(self, job: Job) -> bool:
        return (
            job.status == Status.STARTING
            and job.pid is None
            and job.stop_requested_at is None
            and job.start_tries < MOST_START_TRIES
        )

    def _start(self, job: Job) -> None:
        """Ask the machine to start it, which it does once; a refusal is kept for the verdict."""
        failpoints.reach("pre_start")
        # Counted before: a job that kills its keeper must not do so for ever.
        with fencing.held(self._link.connection_id, self._link.epoch):
            Job.objects.filter(pk=job.pk).update(start_tries=F("start_tries") + 1)
        job.start_tries += 1
        try:
            plan = self._plan(job)
            database.close()
        except (SiteError, SecretUnreadable) as error:
            self._refusals[job.pk] = str(error)
            return
        marker = secrets.token_hex(16)
        launch = remote.start(marker, job.pk, launching.files(plan))
        failpoints.soon("post_send", 0.05)
        result = self._run(launch, START_SECONDS, _HEADERS_BYTES)
        logger.info("started job=%s %s", job.pk, self._link)
        if result.exit_status:
            self._refusals[job.pk] = _words(result.stderr) or (
                "The machine did not take the job's files."
            )

    def _plan(self, job: Job) -> launching.Plan:
        """Raises `SiteError` when the machine refuses the project's folder."""
        return launching.Plan(
            job_id=job.pk,
            folder=projects.folder_of(job.project, self._link.session),
            command=job.command,
            environment=job.environment,
            granted=job.granted or (),
            config=job.config,
            image=job.image if job.kind == Kind.CONTAINER else "",
            virtualenv=job.virtualenv,
            conda_env=job.conda_env,
            max_seconds=job.max_minutes * 60 if job.max_minutes else None,
            grace_seconds=GRACE_SECONDS,
            log_limit_bytes=settings.JOB_LOG_LIMIT_BYTES,
        )

    def _is_to_stop(self, job: Job) -> bool:
        if job.stop_requested_at is None and not self._is_given_up(job):
            return False
        sent = self._stops.get(job.pk)
        return sent is None or time.monotonic() - sent > GRACE_SECONDS + STOP_PATIENCE_SECONDS

    def _is_given_up(self, job: Job) -> bool:
        """It was tried often enough: its place on the machine is taken, so that no start that is
        still under way begins it after we said that it failed.
        """
        return job.pid is None and job.start_tries >= MOST_START_TRIES

    def _stop(self, job: Job, asks: Sequence[remote.Ask]) -> None:
        is_second = job.pk in self._stops
        marker = secrets.token_hex(16)
        self._run(remote.stop(marker, job.pk, [], kill=is_second), REPORT_SECONDS, _HEADERS_BYTES)
        self._stops[job.pk] = time.monotonic()
        failpoints.reach("mid_stop")

    # --- Read and write ---------------------------------------------------------------------

    def _asks(self, jobs: Sequence[Job]) -> list[remote.Ask]:
        share = LOG_BYTES_PER_REPORT // len(jobs)
        return [remote.Ask(job.pk, job.log_bytes, share) for job in jobs]

    def _report(self, asks: Sequence[remote.Ask]) -> remote.Report:
        marker = secrets.token_hex(16)
        launch = remote.report(marker, asks, self._history.unknown_pids())
        result = self._run(launch, REPORT_SECONDS, LOG_BYTES_PER_REPORT + _HEADERS_BYTES)
        return remote.parse(result.stdout, marker)

    def _run(self, launch: remote.Launch, seconds: float, limit: int) -> ssh.CommandResult:
        if self._link.session is None:
            raise ssh.SessionLost("this machine has no SSH session")
        return self._link.session.run(
            launch.command, stdin=launch.stdin, timeout=seconds, limit=limit
        )

    def _write(self, job: Job, report: remote.Report) -> bool:
        """Keep what was read of one job; whether more of its log is waiting."""
        seen = report.jobs.get(job.pk)
        if seen is None:
            return False
        verdict = self._verdict(job, seen, report.boot_id)
        before, offset = job.status, job.log_bytes
        data = masking.mask(seen.log, self._secrets_of(job), is_end=_is_whole(job, seen))
        failpoints.reach("pre_commit")
        with fencing.held(self._link.connection_id, self._link.epoch):
            logs.append(job, data, timezone.now())
            is_more = offset + len(seen.log) < seen.log_size
            if verdict is not None and not (is_more and verdict.status in FINAL):
                self._move(job, seen, verdict)
        if data:
            announce.log(job, offset, data)
        if job.status != before:
            announce.job(job)
        return is_more

    def _verdict(self, job: Job, seen: remote.Seen, boot_id: str) -> Verdict | None:
        """What the report means; None while it may still mean something else."""
        is_stopping = job.stop_requested_at is not None
        verdict = judge(seen, boot_id, is_stopping=is_stopping, was_there=job.pid is not None)
        if self._is_given_up(job) and seen.pid is None and seen.exit_code is not None:
            return Verdict(Status.FAILED, Reason.START_REFUSED, self._refusal_of(job))
        if verdict.is_certain:
            self._doubts.pop(job.pk, None)
            return verdict
        since = self._doubts.setdefault(job.pk, time.monotonic())
        doubt = time.monotonic() - since
        return verdict if doubt > DOUBT_SECONDS * settings.TIME_SCALE else None

    def _refusal_of(self, job: Job) -> str:
        return self._refusals.get(job.pk, f"It could not be started in {MOST_START_TRIES} tries.")

    def _move(self, job: Job, seen: remote.Seen, verdict: Verdict) -> None:
        self._note_process(job, seen)
        if verdict.status in FINAL:
            finishing.finish(job, verdict)
        elif verdict.status != job.status:
            job.move(
                verdict.status,
                settings.SITE_ACTOR,
                "The machine says so.",
                reason=verdict.reason,
                detail=verdict.detail,
            )
        elif verdict.reason != job.reason:
            job.reason = verdict.reason
            job.save(update_fields=["reason"])

    def _note_process(self, job: Job, seen: remote.Seen) -> None:
        """Which process it is, once the machine says so."""
        changes: dict[str, object] = {}
        if seen.pid is not None and job.pid is None:
            changes = {
                "pid": seen.pid,
                "start_ticks": seen.start,
                "boot_id": (seen.boot_id or "")[:64],
                "started_at": timezone.now(),
            }
        if seen.container_id and not job.container_id:
            changes["container_id"] = seen.container_id[:64]
        if changes:
            Job.objects.filter(pk=job.pk).update(**changes)
            for name, value in changes.items():
                setattr(job, name, value)

    def _secrets_of(self, job: Job) -> list[bytes]:
        if job.pk not in self._secrets:
            try:
                values = job.environment
            except SecretUnreadable:
                values = {}
            self._secrets[job.pk] = masking.secrets_of(values, job.secret_names)
        return self._secrets[job.pk]

    def _forget_all_but(self, jobs: Iterable[Job]) -> None:
        living = {job.pk for job in jobs}
        for memory in (self._doubts, self._stops, self._refusals, self._secrets):
            for gone in memory.keys() - living:
                memory.pop(gone)


def _is_whole(job: Job, seen: remote.Seen) -> bool:
    """Whether nothing follows what was read."""
    return seen.exit_code is not None and job.log_bytes + len(seen.log) >= seen.log_size


def _words(stderr: bytes) -> str:
    """The last line that a machine said, made harmless."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return "".join(c if c.isprintable() else " " for c in lines[-1])[:300] if lines else ""
