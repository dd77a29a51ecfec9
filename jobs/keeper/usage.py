"""The keeper adds up what the jobs of the machines it holds have used."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from core.background import isolation
from jobs.keeper.agent import job_agent
from jobs.models import ACTIVE, Job
from jobs.results import usage


def measure_held_jobs(machines: Collection[UUID], now: datetime) -> int:
    """Go on with the jobs of these machines; returns how many there were."""
    wanted = Q(status__in=ACTIVE) | Q(completed_at__gt=now - usage.REACHED)
    rows = Job.objects.filter(wanted, connection_id__in=machines, started_at__isnull=False)
    jobs = list(rows.exclude(measure__is_closed=True))
    isolation.each(
        jobs,
        lambda job: usage.measure(job, now, peak=job_agent.peak_of(job.connection_id, job.pk)),
        name="measuring",
    )
    return len(jobs)
