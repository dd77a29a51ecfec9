"""Starting jobs on one machine: as often as it takes, which the machine makes once."""

import logging
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.db.models import F

from connections.link import Link
from dgxsite.crypto import SecretUnreadable
from dgxsite.errors import SiteError
from jobs import exchange, failpoints, fencing, launching
from jobs.models import Job
from jobs.states import Status
from projects import services as projects

logger = logging.getLogger(__name__)

MOST_TRIES = 5


class Starter:
    """Starts what the queue has granted; remembers why a machine refused."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.refusals: dict[UUID, str] = {}
        # Given up, and their places taken.
        self.abandoned: set[UUID] = set()

    def is_due(self, job: Job) -> bool:
        return (
            job.status == Status.STARTING
            and job.pid is None
            and job.stop_requested_at is None
            and job.start_tries < MOST_TRIES
        )

    def is_given_up(self, job: Job) -> bool:
        """It was tried often enough. Its place on the machine is taken then, so that no start that
        is still under way begins it after we have said that it failed.
        """
        return job.pid is None and job.start_tries >= MOST_TRIES

    def refusal_of(self, job: Job) -> str:
        return self.refusals.get(job.pk, f"It could not be started in {MOST_TRIES} tries.")

    def start(self, job: Job) -> None:
        """Ask the machine to start it. Raises as `exchange.start`."""
        failpoints.reach("pre_start")
        self._count_try(job)
        try:
            plan = _plan(job, self._link)
        except (SiteError, SecretUnreadable) as error:
            self.refusals[job.pk] = str(error)
            return
        database.close()
        failpoints.soon("post_send", 0.05)
        refusal = exchange.start(self._link, job.pk, launching.files(plan))
        if refusal is not None:
            self.refusals[job.pk] = refusal
        logger.info("start of job=%s %s: %s", job.pk, self._link, refusal or "asked")

    def _count_try(self, job: Job) -> None:
        """Before the try: a job that kills its keeper must not do so for ever."""
        with fencing.held(self._link.connection_id, self._link.epoch):
            Job.objects.filter(pk=job.pk).update(start_tries=F("start_tries") + 1)
        job.start_tries += 1


def _plan(job: Job, link: Link) -> launching.Plan:
    """Raises `SiteError` when the machine refuses the project's folder."""
    return launching.Plan(
        job_id=job.pk,
        folder=projects.folder_of(job.project, link.session),
        command=job.command,
        environment=job.environment,
        granted=job.granted or (),
        config=job.config,
        image=job.image,
        virtualenv=job.virtualenv,
        conda_env=job.conda_env,
        max_seconds=job.max_minutes * 60 if job.max_minutes else None,
        grace_seconds=max(1, round(launching.GRACE_SECONDS * settings.TIME_SCALE)),
        log_limit_bytes=settings.JOB_LOG_LIMIT_BYTES,
    )
