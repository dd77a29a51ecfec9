"""What the routes of projects ask for."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_PAGE = "projects/<uuid:project_id>/"
_PROJECT = "projects/<project_id>"

PERMISSIONS = AppPermissions(
    actions={
        "project.list": Right.PERSON,
        "project.view": Role.VIEWER,
        "project.create": Role.OPERATOR,
        "project.change": Role.OPERATOR,
        "project.delete": Role.OPERATOR,
    },
    pages={
        "machines/<uuid:connection_id>/projects": {"GET": "project.view"},
        "projects/": {"GET": "project.list"},
        "projects/trash": {"GET": "project.list"},
        "projects/add": {"GET": "project.create", "POST": "project.create"},
        _PAGE: {"GET": "project.view"},
        f"{_PAGE}edit": {"GET": "project.change", "POST": "project.change"},
        f"{_PAGE}config": {"POST": "project.change"},
        f"{_PAGE}status": {"POST": "project.change"},
        f"{_PAGE}check": {"POST": "project.change"},
        f"{_PAGE}delete": {"POST": "project.delete"},
        f"{_PAGE}restore": {"POST": "project.delete"},
    },
    api={
        "projects": {"GET": "project.list", "POST": "project.create"},
        _PROJECT: {"GET": "project.view", "PATCH": "project.change", "DELETE": "project.delete"},
        f"{_PROJECT}/restore": {"POST": "project.delete"},
        f"{_PROJECT}/check": {"POST": "project.change"},
    },
    admin_models=("projects.project",),
)
