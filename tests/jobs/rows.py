"""Rows of projects and jobs: plain functions with defaults."""

import itertools
from pathlib import Path
from typing import Any

from django.utils import timezone

from connections.models import Connection
from jobs.models import Job, MachineQueue, Status
from projects.models import Project
from tests.factories import make_connection

_numbers = itertools.count(1)


def make_project(
    connection: Connection | None = None, folder: Path | str = "/srv/p", **fields: Any
) -> Project:
    values = {"name": f"project-{next(_numbers)}", "remote_path": str(folder)}
    values |= {"resolved_path": str(folder)} | fields
    return Project.objects.create(connection=connection or make_connection(), **values)


def make_job(project: Project | None = None, **fields: Any) -> Job:
    """A queued job, unless told otherwise."""
    project = project or make_project()
    environment = fields.pop("environment", {})
    values: dict[str, Any] = {
        "name": f"job-{next(_numbers)}",
        "command": "true",
        "status": Status.QUEUED,
        "queued_at": timezone.now(),
    }
    job = Job(project=project, connection=project.connection, **(values | fields))
    job.environment = environment
    job.save(force_insert=True)
    MachineQueue.of(project.connection_id)
    return job
