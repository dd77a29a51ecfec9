"""Rows from what was sent, before anything is stored: what the grammar of one field cannot see."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from accounts.policy import Caller
from connections.models import Transport
from core.errors import Conflict, Invalid, NotFound
from jobs.hidden_values import (
    config_behind,
    environment_of,
    of_variables,
    refuse_reveal,
    still_marked,
)
from jobs.models import FINAL, MASK, Job, Kind
from projects import config, schema_checks
from projects import services as projects
from projects.hidden import refuse_stars
from projects.models import Project
from projects.models import Status as ProjectStatus

Fields = dict[str, Any]

_LATEST = timedelta(days=366)
_SLACK = timedelta(minutes=5)
_LONGEST_CHAIN = 1000
# Sent field → column, where the two differ in more than the name.
_PLAIN = (
    "name",
    "model_name",
    "kind",
    "command",
    "gpus",
    "wait_for_gpu",
    "priority",
    "max_minutes",
    "max_retries",
    "config",
)
_OPTIONAL_TEXTS = ("image", "virtualenv", "conda_env")


def new(caller: Caller, fields: Fields) -> Job:
    """A row that is not stored; `NotFound` for a project that the caller may not see.

    Without a configuration it has the project's. Raises `Invalid` and what its checks raise.
    """
    project = projects.find(caller, fields["project_id"], "job.create")
    check_project(project)
    row = Job(pk=uuid4(), project=project, connection=project.connection, requested_by=caller.user)
    row.config = project.config
    fields = unmasked(row, fields)
    fill(caller, row, fields)
    check_config(caller, project, fields)
    return row


def unmasked(row: Job, fields: Fields) -> Fields:
    """What was sent, with what the row has of a configuration that came back as it was shown."""
    if "config" not in fields:
        return fields
    found = config_behind(row, fields["config"])
    refuse_stars(found, "config")
    return fields | {"config": found}


def fill(caller: Caller, row: Job, fields: Fields) -> None:
    """Put what was sent into the row; raises `Invalid`."""
    secrets = of_variables(row)
    for name in _PLAIN:
        if name in fields:
            setattr(row, name, fields[name])
    if "secret_names" in fields:
        row.secret_names = still_marked(row, fields["secret_names"])
    for name in _OPTIONAL_TEXTS:
        if name in fields:
            setattr(row, name, fields[name] or "")
    if "environment" in fields:
        row.environment = _unmasked(row, fields["environment"])
    refuse_reveal(row.config, secrets, of_variables(row))
    if "not_before" in fields:
        row.not_before = _moment(fields["not_before"])
    if "after" in fields:
        row.after = _before(caller, row, fields["after"])
    _check_kind(row)


def check_config(caller: Caller, project: Project, fields: Fields) -> None:
    """`Broken` for a configuration that was sent and breaks the project's schema.

    May start a child process: never call it inside a transaction.
    """
    if "config" in fields:
        text = config.as_text("config", fields["config"])
        schema_checks.check(caller, text, project.schema_text)


def check_project(project: Project) -> None:
    """Whether its jobs may start: `Conflict` or `Invalid` otherwise."""
    if project.deleted_at is not None:
        raise Conflict("The project is in the trash; restore it first.")
    if project.status == ProjectStatus.ARCHIVED:
        raise Conflict("The project is archived; make it active again first.")
    if project.connection.transport != Transport.SSH:
        raise Invalid.field(
            "project_id", "Jobs run over SSH: add the site's own machine by its address as well."
        )


def _check_kind(row: Job) -> None:
    if row.kind == Kind.COMMAND and not row.command.strip():
        raise Invalid.field("command", "A job needs a command.")
    if row.kind == Kind.CONTAINER and not row.image:
        raise Invalid.field("image", "A container needs an image.")
    if row.kind == Kind.COMMAND and row.image:
        raise Invalid.field("image", "Only a job of the kind container has an image.")
    if row.virtualenv and row.conda_env:
        raise Invalid.field("conda_env", "Either a virtualenv or a conda environment.")


def _unmasked(row: Job, variables: dict[str, str]) -> dict[str, str]:
    """A value that comes back as it was shown stays what it is."""
    before = environment_of(row)
    return {
        name: before[name] if value == MASK and name in before else value
        for name, value in variables.items()
    }


def _moment(value: Any) -> Any:
    if value is None:
        return None
    now = timezone.now()
    if value < now - _SLACK:
        raise Invalid.field("not_before", "That lies in the past.")
    if value > now + _LATEST:
        raise Invalid.field("not_before", "That is more than a year away.")
    return value


def _before(caller: Caller, row: Job, job_id: UUID | None) -> Job | None:
    """The job that this one waits for, unless it waits for this one itself."""
    if job_id is None:
        return None
    found = Job.objects.visible_to(caller.user).filter(pk=job_id).first()
    if found is None:
        raise NotFound
    one: Job | None = found
    for _ in range(_LONGEST_CHAIN):
        if one is None or one.status in FINAL:
            return found
        if one.pk == row.pk:
            break
        one = one.after
    raise Invalid.field("after", "The two would wait for each other.")
