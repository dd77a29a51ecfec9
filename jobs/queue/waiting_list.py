"""The queue of one machine as a keeper remembers it: narrow rows, read again only when they change.

A queue may be 2,000 jobs long and is decided about every second, mostly with the same result. What
is read of it stays here, with what was concluded from it, under a stamp that PostgreSQL makes of
the rows: any write to one of them, and any change of a job that one comes after, gives another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from jobs.models import FINAL, Job, Status
from jobs.queue.policy import Asked

# The identity of a row's version is the transaction that wrote it.
_STAMP = """
SELECT count(*), sum(hashtextextended(
    concat_ws('/', j.id, j.xmin, j.ctid, a.status, a.name), 0)::numeric)
FROM jobs_job j LEFT JOIN jobs_job a ON a.id = j.after_id
WHERE j.connection_id = %s AND j.status = 'queued'
"""
_COLUMNS = (
    "pk",
    "gpus",
    "wait_for_gpu",
    "requested_by_id",
    "not_before",
    "max_minutes",
    "waiting_reason",
    "estimated_start_at",
    "after__name",
    "after__status",
)
_NEWS = """
UPDATE jobs_job SET waiting_reason = news.reason, estimated_start_at = news.at
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS news(id, reason, at)
WHERE jobs_job.id = news.id AND jobs_job.status = 'queued'
"""

Stamp = tuple[Any, ...]


class Place(NamedTuple):
    """One job in the queue and the time that it may take."""

    asked: Asked
    limit: timedelta | None


@dataclass(slots=True)
class WaitingList:
    """What is remembered: the queue in its order, what its rows say, what was concluded last."""

    stamp: Stamp | None = None
    places: list[Place] = field(default_factory=list)
    reasons: dict[UUID, str] = field(default_factory=dict)
    estimates: dict[UUID, datetime | None] = field(default_factory=dict)
    # Who asked for them, and the times that some of them wait for.
    people: set[int | None] = field(default_factory=set)
    times: list[datetime] = field(default_factory=list)
    # What the last decisions and estimates came from.
    decided_from: object = None
    estimated_from: object = None
    estimated_at: datetime | None = None

    def catch_up(self, connection_id: UUID) -> None:
        """Read the queue again if it has changed."""
        stamp = stamp_of(connection_id)
        if stamp == self.stamp:
            return
        self.forget()
        rows = Job.objects.filter(connection_id=connection_id, status=Status.QUEUED)
        self._take_in(rows.order_by("-priority", "queued_at", "pk").values_list(*_COLUMNS))
        self.stamp = stamp

    def forget(self) -> None:
        """After a failure nobody knows what was written."""
        self.stamp, self.places = None, []
        self.people, self.times = set(), []
        self.reasons, self.estimates = {}, {}
        self.decided_from = self.estimated_from = self.estimated_at = None

    def write(self, ids: Iterable[UUID]) -> None:
        """Put reasons and estimates of these jobs into their rows, with one statement."""
        news = list(ids)
        reasons = [self.reasons[job_id] for job_id in news]
        times = [self.estimates[job_id] for job_id in news]
        if news:
            with connection.cursor() as cursor:
                cursor.execute(_NEWS, [news, reasons, times])

    def _take_in(self, rows: Iterable[Sequence[Any]]) -> None:
        for pk, gpus, waits, person, not_before, minutes, reason, at, name, status in rows:
            wanted = gpus if isinstance(gpus, int) else tuple(str(key) for key in gpus)
            asked = Asked(pk, wanted, waits, person, not_before, _held_by(name, status))
            limit = timedelta(minutes=minutes) if minutes else None
            self.places.append(Place(asked, limit))
            self.reasons[pk], self.estimates[pk] = reason, at
            self.people.add(person)
            if not_before is not None:
                self.times.append(not_before)


def stamp_of(connection_id: UUID) -> Stamp:
    """Another one whenever anything about the queue may be different."""
    with connection.cursor() as cursor:
        cursor.execute(_STAMP, [connection_id])
        found = cursor.fetchone()
    return tuple(found or ())


def _held_by(name: str | None, status: str | None) -> str | None:
    """Why the job before it holds it up; None once that is completed."""
    if status is None or status == Status.COMPLETED:
        return None
    if status in FINAL:
        return f"It comes after the job “{name}”, which ended as {status}."
    return f"It comes after the job “{name}”, which is {status}."
