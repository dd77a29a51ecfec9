"""What runs began from, fetched once from their machine and kept.

It is written there beside the command, up to half a minute after the start and perhaps after the
end of a short run: so each job that is seen here is asked for, until it was told or the time for it
is over. A keeper that takes over begins anew. What does not come stays absent; no job waits for it.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from connections.keeper import leases
from connections.keeper.link import Link
from core.background import isolation
from jobs import masking
from jobs.hidden_values import secrets_of
from jobs.models import Job, JobOrigin
from jobs.remote import origin
from jobs.tracking import energy
from metrics.live import store as live_store

# Twice what `origin.sh` takes at most.
PATIENCE_SECONDS = 60.0


class OriginCollector:
    """The jobs of one machine whose origin is awaited."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._awaited: dict[UUID, tuple[Job, float]] = {}
        self._settled: set[UUID] = set()

    def awaited(self, active: Sequence[Job]) -> list[UUID]:
        """Those to ask for now: of the jobs that are active, and those that were a moment ago."""
        self._settled &= {job.pk for job in active}
        now = time.monotonic()
        self._take_in([job for job in active if self._is_new(job)])
        # The time counts from the start, which may be tried for a while.
        unbegun = [job for job in active if job.pid is None and job.pk in self._awaited]
        self._awaited |= {job.pk: (job, now + PATIENCE_SECONDS) for job in unbegun}
        for job_id in [id for id, (_, until) in self._awaited.items() if until < now]:
            self._settle(job_id)
        return list(self._awaited)

    def keep(self, written: Mapping[UUID, bytes]) -> None:
        """Store what came. Raises `leases.LeaseLost` and what the database raises."""
        isolation.each(
            written.keys() & self._awaited.keys(),
            lambda job_id: self._keep_one(job_id, written[job_id]),
            name="keeping what a run began from, of job",
            failed=lambda job_id, _: self._settle(job_id),  # it stays absent
            passing=(leases.LeaseLost,),
        )

    def _keep_one(self, job_id: UUID, written: bytes) -> None:
        job, _ = self._awaited[job_id]
        found = origin.parse(masking.mask(written, secrets_of(job), is_end=True))
        found["gpus"] = _gpus(job)
        with leases.fenced(self._link.connection_id, self._link.epoch):
            JobOrigin.objects.get_or_create(job_id=job_id, defaults={"data": found})
        self._settle(job_id)

    def _is_new(self, job: Job) -> bool:
        return job.pk not in self._awaited and job.pk not in self._settled

    def _take_in(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        self._settled |= set(JobOrigin.objects.filter(job__in=jobs).values_list("pk", flat=True))
        until = time.monotonic() + PATIENCE_SECONDS
        self._awaited |= {job.pk: (job, until) for job in jobs if job.pk not in self._settled}

    def _settle(self, job_id: UUID) -> None:
        del self._awaited[job_id]
        self._settled.add(job_id)


def _gpus(job: Job) -> list[dict[str, Any]]:
    """The granted GPUs as the machine's last sample has them."""
    sample = live_store.latest(job.connection_id) or {"gpus": []}
    wanted = energy.whole_gpus(job.granted)
    whole = [gpu for gpu in sample["gpus"] if gpu["index"] in wanted]
    found = [{"index": gpu["index"], "name": gpu["name"], "uuid": gpu["uuid"]} for gpu in whole]
    for gpu in sample["gpus"]:
        slices = [one["uuid"] for one in gpu["mig"] if one["uuid"] in (job.granted or ())]
        found += [{"index": gpu["index"], "name": gpu["name"], "uuid": uuid} for uuid in slices]
    return found
