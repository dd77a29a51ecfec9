"""The keeper checks the GPU availability alerts of the machines it holds."""

from collections.abc import Collection
from functools import partial
from uuid import UUID

from core.background import isolation
from jobs.keeper.agent import job_agent
from jobs.models import GpuWish
from jobs.queue import gpu_alerts


def check_machines(machines: Collection[UUID]) -> int:
    """Notify who waits for a free GPU of these machines; returns how many were notified."""
    alerts = GpuWish.objects.filter(connection_id__in=machines)
    ids = alerts.order_by("connection_id").values_list("connection_id", flat=True).distinct()
    notified: list[int] = []
    isolation.each(
        list(ids),
        lambda id_: notified.append(
            gpu_alerts.notify_waiting(id_, partial(job_agent.devices_of, id_))
        ),
        name="GPU alerts of",
    )
    return sum(notified)
