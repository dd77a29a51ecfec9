"""A program: rounds of a queue of 2,000 jobs, as the keeper goes through them and as it did before.

Before, every round read every row with its neighbours, once to decide and once to look at them, and
found each reason and each time anew. Prints its figures as one line of JSON.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")

import django

django.setup()

from django.utils import timezone  # noqa: E402 (the rest needs the apps)

from accounts.models import Team, User  # noqa: E402
from connections.models import Connection  # noqa: E402
from dgxsite.up import preparation  # noqa: E402
from jobs.models import (  # noqa: E402
    Job,
    MachineQueue,
    Status,
)
from jobs.queue import estimate as queue_estimate  # noqa: E402
from jobs.queue import grant as queue_grant  # noqa: E402
from jobs.queue import policy as queue_policy  # noqa: E402
from jobs.queue.devices import Device  # noqa: E402
from jobs.queue.waiting_list import WaitingList  # noqa: E402
from projects.models import Project  # noqa: E402

_JOBS = 2000
_GPUS = 8
_ROUNDS = 5
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


def main() -> dict[str, float]:
    machine = _queue()
    line_up = WaitingList()
    for _ in range(2):
        queue_grant.grant_on(machine, 0, lambda rules: _busy(50), line_up)
    percents = iter(range(51, 100))
    return {
        "jobs": _JOBS,
        "still": _least(lambda: queue_grant.grant_on(machine, 0, lambda rules: _busy(50), line_up)),
        "moving": _least(
            lambda: queue_grant.grant_on(machine, 0, lambda rules: _busy(next(percents)), line_up)
        ),
        "before": _least(lambda: _before(machine)),
    }


def _least(call: Callable[[], object]) -> float:
    """Milliseconds of this thread's CPU, of the best of some rounds."""
    found = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        call()
        found.append((time.thread_time() - began) * 1000)
    return min(found)


class _EachAnew(queue_policy._Round):
    """The rules without a memory of reasons."""

    def _note(self, kind: object, reason: str) -> None:
        return None


def _before(machine: UUID) -> None:
    """What a round did when nothing had changed: nothing is written."""
    rows = Job.objects.filter(connection_id=machine, status=Status.QUEUED)
    wide = rows.select_related("connection__team", "requested_by", "after", "project")
    waiting = list(wide.order_by("-priority", "queued_at", "pk"))
    now = timezone.now()
    asked = [
        queue_policy.Asked(job.pk, job.gpus, job.wait_for_gpu, job.requested_by_id)
        for job in waiting
    ]
    _EachAnew(queue_policy.Machine(_busy(50), {}, {}), now).decide(asked)
    limits = [timedelta(minutes=job.max_minutes or 0) for job in waiting]
    order = [queue_estimate.Waiting(*pair) for pair in zip(asked, limits, strict=True)]
    queue_estimate.estimate(order, {str(gpu): None for gpu in range(_GPUS)}, now)
    list(rows.select_related("connection__team", "requested_by", "project__connection"))


def _busy(percent: int) -> list[Device]:
    return [
        Device(str(gpu), f"GPU {gpu}", f"GPU {gpu} is busy at {percent} %") for gpu in range(_GPUS)
    ]


def _queue() -> UUID:
    """A machine all of whose GPUs somebody else uses."""
    name = os.urandom(8).hex()
    team = Team.objects.create(name=name)
    person = User.objects.create(username=name, is_superuser=True)
    machine = Connection.objects.create(
        team=team, name=name, hostname="192.0.2.1", username="bench"
    )
    project = Project.objects.create(connection=machine, name=name, remote_path="/srv")
    MachineQueue.of(machine.pk)
    Job.objects.bulk_create(
        Job(
            project=project,
            connection=machine,
            name=f"job-{number}",
            command="python train.py",
            status=Status.QUEUED,
            queued_at=_BEGAN + timedelta(seconds=number),
            gpus=1 + number % 3,
            max_minutes=60,
            requested_by=person,
        )
        for number in range(_JOBS)
    )
    return machine.pk


if __name__ == "__main__":
    preparation.migrate()
    print(json.dumps(main()))
