"""The queue of one machine against the database: who starts is decided under a lock, once.

The row of the machine's queue is locked while it decides, and a grant is a conditional update of
the job, under the epoch of the keeper that holds the machine. So two keepers, and requests at the
same time, never start a job twice nor grant a GPU twice. A round in which nothing has changed costs
a handful of queries, however long the queue is (`jobs/queue/waiting_list.py`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from connections.keeper import leases
from core import cleaner
from jobs.models import Job, MachineQueue, Status
from jobs.queue import estimate, policy
from jobs.queue.devices import Device, Rules
from jobs.queue.waiting_list import WaitingList
from jobs.standing import objections

# An estimate that moved by less is no news; as long as nothing changes it moves with the time.
ESTIMATE_STEP = timedelta(seconds=30)
ESTIMATE_AGAIN = timedelta(seconds=10)
LONGEST_REASON = 1000
# Each is two writes, and a start takes longer still: the next ones are granted in the next round.
MOST_GRANTS = 20

DeviceReader = Callable[[Rules], Sequence[Device] | None]


def grant(connection_id: UUID, epoch: int, devices: DeviceReader) -> list[Job]:
    """Let start what may start; the rows that changed. Raises `leases.LeaseLost`."""
    return rows_of(grant_on(connection_id, epoch, devices, WaitingList()))


def rows_of(ids: Collection[UUID]) -> list[Job]:
    """The jobs as they are shown, in this order."""
    found = Job.objects.select_related("connection__team", "requested_by").in_bulk(list(ids))
    return [found[job_id] for job_id in ids if job_id in found]


def grant_on(
    connection_id: UUID, epoch: int, devices: DeviceReader, line_up: WaitingList
) -> list[UUID]:
    """The same with what is remembered of the queue: which jobs changed, at first those that start.

    Raises `leases.LeaseLost` and what the database raises; then nothing is remembered.
    """
    if not Job.objects.filter(connection_id=connection_id, status=Status.QUEUED).exists():
        line_up.forget()
        return []
    MachineQueue.of(connection_id)
    try:
        with leases.fenced(connection_id, epoch):
            row = MachineQueue.objects.select_for_update().get(pk=connection_id)
            line_up.catch_up(connection_id)
            changed = _Round(row, line_up, devices).run()
    except BaseException:
        line_up.forget()
        raise
    return changed


def rules_of(row: MachineQueue) -> Rules:
    return Rules(row.idle_percent, row.idle_bytes, row.hold_seconds * settings.TIME_SCALE)


class _Round:
    """One decision about the queue, as far as anything has changed since the last."""

    def __init__(self, row: MachineQueue, line_up: WaitingList, devices: DeviceReader) -> None:
        self._line_up = line_up
        self._active = list(
            Job.objects.active()
            .filter(connection_id=row.pk)
            .only("name", "granted", "requested_by_id", "max_minutes", "started_at")
        )
        self._machine = _machine(row, self._active, devices)
        self._objections = objections(row.pk, line_up.people)
        self._now = timezone.now()

    def run(self) -> list[UUID]:
        started = self._decide()
        news = self._explained | self._estimate()
        news -= started.keys()
        self._line_up.write(news)
        if started:
            self._forget_started(started)
        return [*started, *news]

    def _asked(self) -> list[policy.Asked]:
        """The queue in its order; a person's right comes before the job that one comes after."""
        asked = [place.asked for place in self._line_up.places]
        if not self._objections:
            return asked
        return [
            one._replace(blocked=self._objections.get(one.person or 0) or one.blocked)
            for one in asked
        ]

    def _decide(self) -> dict[UUID, None]:
        """Grant, and note why the others wait; those that start."""
        line_up = self._line_up
        self._explained: set[UUID] = set()
        inputs = (line_up.stamp, self._machine, self._objections, self._begun())
        if inputs == line_up.decided_from:
            return {}
        started: dict[UUID, None] = {}
        for one in policy.decide(self._asked(), self._machine, self._now):
            if one.granted is None:
                reason = _cleaned(one.waiting_reason)
                if line_up.reasons[one.job_id] != reason:
                    line_up.reasons[one.job_id] = reason
                    self._explained.add(one.job_id)
            elif len(started) < MOST_GRANTS and _start(one.job_id, one.granted):
                started[one.job_id] = None
        # Who was granted something is not in the queue any more: the next round decides anew.
        line_up.decided_from = None if started else inputs
        return started

    def _begun(self) -> int:
        """How many of the jobs that have a time may start by it."""
        return sum(1 for at in self._line_up.times if at <= self._now)

    def _estimate(self) -> set[UUID]:
        """When waiting jobs will probably start; of which of them that is news."""
        line_up, machine = self._line_up, self._machine
        ends = {
            key: (job.started_at, _limit(job)) for job in self._active for key in job.granted or ()
        }
        free = [(one.key, one.use is None) for one in machine.devices or () if not one.is_split]
        inputs = (line_up.stamp, ends, free, machine.is_paused, self._objections)
        is_young = (
            line_up.estimated_at is not None and self._now - line_up.estimated_at < ESTIMATE_AGAIN
        )
        if is_young and inputs == line_up.estimated_from:
            return set()
        line_up.estimated_from, line_up.estimated_at = inputs, self._now
        found = {} if machine.is_paused else self._estimates(ends, free)
        news = {
            job_id
            for job_id, before in line_up.estimates.items()
            if _is_news(before, found.get(job_id))
        }
        line_up.estimates |= {job_id: found.get(job_id) for job_id in news}
        return news

    def _estimates(
        self,
        ends: Mapping[str, tuple[datetime | None, timedelta | None]],
        free: Sequence[tuple[str, bool]],
    ) -> dict[UUID, datetime]:
        now = self._now
        free_at = {
            key: _end(*ends[key], now) if key in ends else now if is_free else None
            for key, is_free in free
        }
        limits = (place.limit for place in self._line_up.places)
        waiting = list(map(estimate.Waiting, self._asked(), limits))
        return estimate.estimate(waiting, free_at, now)

    def _forget_started(self, started: Mapping[UUID, None]) -> None:
        line_up = self._line_up
        line_up.places = [p for p in line_up.places if p.asked.job_id not in started]
        for job_id in started:
            del line_up.reasons[job_id], line_up.estimates[job_id]


def _start(job_id: UUID, granted: Sequence[str]) -> bool:
    job = Job.objects.filter(pk=job_id, status=Status.QUEUED).first()
    return job is not None and job.move(
        Status.STARTING, settings.SITE_ACTOR, "The queue let it start.", granted=list(granted)
    )


def _machine(row: MachineQueue, active: Sequence[Job], devices: DeviceReader) -> policy.Machine:
    granted: dict[str, str] = {}
    running: Counter[int] = Counter()
    for job in active:
        granted |= dict.fromkeys(job.granted or (), job.name)
        if job.requested_by_id is not None:
            running[job.requested_by_id] += 1
    return policy.Machine(
        devices=devices(rules_of(row)),
        granted=granted,
        running=running,
        is_paused=row.is_paused,
        per_person=row.per_person,
    )


@lru_cache(maxsize=256)
def _cleaned(reason: str) -> str:
    """Most jobs of a long queue wait for the same."""
    return cleaner.line(reason, LONGEST_REASON)


def _limit(job: Job) -> timedelta | None:
    return timedelta(minutes=job.max_minutes) if job.max_minutes else None


def _end(started_at: datetime | None, limit: timedelta | None, now: datetime) -> datetime | None:
    return None if limit is None else max(now, (started_at or now) + limit)


def _is_news(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > ESTIMATE_STEP
