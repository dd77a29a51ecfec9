"""What is not kept for ever: logs of jobs that ended long ago, and jobs long in the trash.

The log's file stays on the machine, beside what else the job left there.
"""

from datetime import timedelta

from django.utils import timezone

from core.background import isolation
from jobs.models import FINAL, Job, LogChunk

KEEP_LOGS = timedelta(days=180)
_AT_ONCE = 200


def forget() -> tuple[int, int]:
    """Drop what is due; how many pieces of logs and how many jobs went."""
    pieces = _forget_logs()
    jobs = Job.objects.expired(timezone.now()).filter(status__in=FINAL)
    keys = list(jobs.values_list("pk", flat=True)[:_AT_ONCE])
    gone = isolation.each(
        keys, lambda key: Job.objects.filter(pk=key).delete()[0], name="forgetting job"
    )
    return pieces, gone


def _forget_logs() -> int:
    old = Job.objects.filter(completed_at__lt=timezone.now() - KEEP_LOGS, chunks__isnull=False)
    keys = list(old.values_list("pk", flat=True).distinct()[:_AT_ONCE])
    counts: list[int] = []
    isolation.each(
        keys,
        lambda key: counts.append(LogChunk.objects.filter(job=key).delete()[0]),
        name="forgetting the log of job",
    )
    return sum(counts)
