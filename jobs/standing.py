"""Whether who asked for a waiting job may still have it run: a role that is gone holds it back.

It waits, with the reason, until its person may again, or until another operator starts it in their
own name. What runs already goes on: stopping it is for an operator to decide. When a person is
deleted, what still waits is stopped for good, and nothing is tried again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import Team, User
from accounts.teams import given
from jobs.models import FINAL, WAITING, Job, Status

ACTION = "job.start"
_GONE = "Who asked for it has no account any more."


@dataclass(frozen=True, slots=True)
class Standing:
    """The people who may start jobs on the machine in question."""

    people: Collection[int]

    def objection(self, job: Job) -> str | None:
        """Why it does not start; None lets it, as it does what no person asked for."""
        if job.requested_by_id is None or job.requested_by_id in self.people:
            return None
        return _words(job.requested_by)


def standing_of(jobs: Sequence[Job]) -> Standing:
    """For jobs of one machine: one query, however many they are."""
    if not jobs:
        return Standing(())
    return Standing(given.people_who_may(ACTION, jobs[0].team))


def objections(connection_id: UUID, people: Collection[int | None]) -> dict[int, str]:
    """Why what these people asked for does not start on a machine; nobody else is in it."""
    asking = {person for person in people if person is not None}
    if not asking:
        return {}
    gone = asking - given.people_who_may(ACTION, Team.objects.get(connections=connection_id))
    users = User.objects.in_bulk(gone)
    return {person: _words(users.get(person)) for person in sorted(gone)}


def _words(person: User | None) -> str:
    words = given.may_no_more(person, "start jobs here")
    return f"{words} An operator who starts it takes it over."


@transaction.atomic
def give_up_jobs_of(sender: Any, instance: User, **kwargs: Any) -> None:
    """Stop what still waits of a person who is being deleted, and try nothing again."""
    jobs = Job.objects.filter(requested_by=instance).exclude(status__in=FINAL)
    jobs.update(max_retries=0)
    for job in jobs.filter(status__in=WAITING).select_related("connection__team"):
        job.move(Status.STOPPED, settings.SITE_ACTOR, _GONE, reason="stopped", detail=_GONE)
