"""Starting jobs on one machine: as often as it takes, which the machine makes once."""

import logging
import time
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.db.models import F

from connections.keeper import leases
from connections.keeper.link import Link
from core.errors import SiteError, Unavailable
from core.security.crypto import SecretUnreadable
from jobs.keeper import failpoints
from jobs.models import Job, Status
from jobs.remote import client as remote_client
from jobs.remote import launch as remote_launch
from projects import services as projects

logger = logging.getLogger(__name__)

MOST_TRIES = 5
# After a folder that could not be asked for, until its project's jobs are tried again.
FOLDER_REST_SECONDS = 30.0


class Starter:
    """Starts what the queue has granted; remembers why a machine refused."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.refusals: dict[UUID, str] = {}
        # Project → when its folder may be asked for again.
        self._resting: dict[UUID, float] = {}
        # Given up, and their places taken.
        self.abandoned: set[UUID] = set()

    def is_due(self, job: Job) -> bool:
        return (
            job.status == Status.STARTING
            and job.pid is None
            and job.stop_requested_at is None
            and job.start_tries < MOST_TRIES
            and self._resting.get(job.project_id, 0.0) <= time.monotonic()
        )

    def is_given_up(self, job: Job) -> bool:
        """It was tried often enough. Its place on the machine is taken then, so that no start that
        is still under way begins it after we have said that it failed.
        """
        return job.pid is None and job.start_tries >= MOST_TRIES

    def refusal_of(self, job: Job) -> str:
        return self.refusals.get(job.pk, f"It could not be started in {MOST_TRIES} tries.")

    def start(self, job: Job) -> str | None:
        """Ask the machine to start it; why it could not be, None if it could. Raises as
        `jobs.remote.client.start`.
        """
        if not self.is_due(job):  # its project has begun to rest in this very round
            return None
        failpoints.reach("pre_start")
        self._count_try(job)
        try:
            plan = _plan(job)
        except (SiteError, SecretUnreadable) as error:
            self.refusals[job.pk] = str(error)
            if isinstance(error, Unavailable):
                self._rest(job.project_id)
            return str(error)
        database.close()
        failpoints.soon("post_send", 0.05)
        refusal = remote_client.start(self._link, job.pk, remote_launch.files(plan))
        if refusal is not None:
            self.refusals[job.pk] = refusal
        logger.info("start of job=%s %s: %s", job.pk, self._link, refusal or "asked")
        return refusal

    def _rest(self, project_id: UUID) -> None:
        """Each look at a folder that hangs takes time from the machine's other jobs."""
        now = time.monotonic()
        self._resting = {id: until for id, until in self._resting.items() if until > now}
        self._resting[project_id] = now + FOLDER_REST_SECONDS * settings.TIME_SCALE

    def _count_try(self, job: Job) -> None:
        """Before the try: a job that kills its keeper must not do so for ever."""
        with leases.fenced(self._link.connection_id, self._link.epoch):
            Job.objects.filter(pk=job.pk).update(start_tries=F("start_tries") + 1)
        job.start_tries += 1


def _plan(job: Job) -> remote_launch.Plan:
    """Raises `SiteError` when the machine refuses the project's folder.

    A folder that nobody knows yet is asked for over a session of its own: one on a mount that
    hangs ends that session, and not the one on which everything else of the machine goes.
    """
    return remote_launch.Plan(
        job_id=job.pk,
        folder=projects.folder_of(job.project),
        command=job.command,
        environment=job.environment,
        granted=job.granted or (),
        config=job.config,
        image=job.image,
        virtualenv=job.virtualenv,
        conda_env=job.conda_env,
        max_seconds=job.max_minutes * 60 if job.max_minutes else None,
        grace_seconds=max(1, round(remote_launch.GRACE_SECONDS * settings.TIME_SCALE)),
        log_limit_bytes=settings.JOB_LOG_LIMIT_BYTES,
    )
