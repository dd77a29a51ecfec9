"""A project as other programs see it."""

from typing import Any

from core.security import secret_names
from core.times import iso
from projects.models import Project


def as_dict(project: Project) -> dict[str, Any]:
    """The contract's project object, ready for JSON, secret values of its configuration masked.

    No query if `created_by` was read too.
    """
    return {
        "id": str(project.pk),
        "connection_id": str(project.connection_id),
        "name": project.name,
        "description": project.description,
        "project_type": project.project_type,
        "status": project.status,
        "remote_path": project.remote_path,
        "resolved_path": project.resolved_path or None,
        "path_note": project.path_note or None,
        "config": secret_names.masked(project.config),
        "config_schema": project.config_schema,
        "revision": project.revision,
        "created_by": project.created_by.get_username() if project.created_by else None,
        "last_activity_at": iso(project.last_activity_at),
        "created_at": iso(project.created_at),
        "updated_at": iso(project.updated_at),
    }


def etag(project: Project) -> str:
    """What `If-Match` sends back."""
    return f'"{project.revision}"'
