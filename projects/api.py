"""Projects over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once_prepared
from core.errors import ChangedMeanwhile
from core.openapi import raises
from core.pagination import listing
from projects import choices, config, inputs, schemas, services
from projects.models import Project
from projects.serializers import as_dict, etag

router = Router(tags=["projects"])

# When the machine is asked for a folder.
_FOLDER = (inputs.FolderMissing, inputs.FolderUnusable)
_IF_MATCH: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "If-Match",
            "description": "The ETag of what was read; 409 if it is another one by now.",
            "required": False,
            "schema": {"type": "string", "maxLength": 1000},
        }
    ]
}


@router.get("", response=schemas.ProjectList)
def list_projects(request: HttpRequest, page: Query[schemas.ProjectFilter]) -> dict[str, Any]:
    """The projects of the machines that the caller may see, by name."""
    rows = choices.narrowed(
        services.visible(caller_of(request)),
        connection_id=page.connection_id,
        status=page.status,
        project_type=page.project_type,
        text=page.q,
    )
    return listing(choices.ordered(rows, "name"), page, as_dict)


@router.post("", response={201: schemas.ProjectOut}, openapi_extra=REPEATABLE | raises(*_FOLDER))
def create_project(request: HttpRequest, payload: schemas.ProjectIn) -> Any:
    """Add a project; its folder is looked up on the machine, and made with `create_directory`."""
    caller = caller_of(request)
    return once_prepared(
        request,
        lambda: inputs.new(caller, _fields(payload)),
        lambda row: Status(201, as_dict(services.add(caller, row))),
    )


@router.get("/{project_id}", response=schemas.ProjectOut)
def get_project(request: HttpRequest, response: HttpResponse, project_id: UUID) -> dict[str, Any]:
    return _answer(response, services.find(caller_of(request), project_id))


@router.patch(
    "/{project_id}",
    response=schemas.ProjectOut,
    openapi_extra=_IF_MATCH | raises(ChangedMeanwhile, *_FOLDER),
)
def change_project(
    request: HttpRequest, response: HttpResponse, project_id: UUID, payload: schemas.ProjectPatch
) -> dict[str, Any]:
    """Change what is sent; with `If-Match`, only what still is as it was read."""
    caller = caller_of(request)
    revision = _expected(request, services.find(caller, project_id, "project.change"))
    row = services.change(caller, project_id, _fields(payload), revision=revision)
    return _answer(response, row)


@router.delete("/{project_id}", response={204: None})
def delete_project(request: HttpRequest, project_id: UUID) -> Status[None]:
    """Into the trash for 30 days; nothing is deleted on the machine."""
    services.delete(caller_of(request), project_id)
    return Status(204, None)


@router.post("/{project_id}/restore", response=schemas.ProjectOut)
def restore_project(request: HttpRequest, project_id: UUID) -> dict[str, Any]:
    return as_dict(services.restore(caller_of(request), project_id))


@router.post("/{project_id}/check", response=schemas.ProjectOut, openapi_extra=raises(*_FOLDER))
def check_project(request: HttpRequest, project_id: UUID) -> dict[str, Any]:
    """Ask the machine for the folder again; `path_note` says what is wrong with it."""
    return as_dict(services.check_folder(caller_of(request), project_id))


def _fields(payload: schemas.ProjectIn) -> inputs.Fields:
    """What was sent, with both objects as the texts in which they are kept."""
    fields = payload.model_dump(exclude_unset=True)
    if "config" in fields:
        fields["config_text"] = config.as_text("config", fields.pop("config"))
    if "config_schema" in fields:
        schema = fields.pop("config_schema")
        fields["schema_text"] = "" if schema is None else config.as_text("config_schema", schema)
    return fields


def _expected(request: HttpRequest, row: Project) -> int | None:
    """The revision that `If-Match` asks for, if it asks; a `Conflict` if it is another one."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return None
    if etag(row) not in [tag.strip() for tag in wanted.split(",")]:
        raise ChangedMeanwhile("Somebody has changed this project in the meantime.")
    return row.revision


def _answer(response: HttpResponse, row: Project) -> dict[str, Any]:
    response["ETag"] = etag(row)
    return as_dict(row)
