"""What the routes of readings ask for: the fleet, a machine's page, comparisons, history."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_ONE = "connections/<connection_id>"

PERMISSIONS = AppPermissions(
    actions={
        "site.machine": Right.PERSON,
        "metrics.view": Role.VIEWER,
    },
    pages={
        "": {"GET": "connection.list"},
        "machines/<uuid:connection_id>/": {"GET": "connection.view"},
        "this-machine": {"GET": "site.machine"},
        "compare/": {"GET": "connection.list"},
        "compare/csv": {"GET": "connection.list"},
    },
    api={
        f"{_ONE}/metrics": {"GET": "metrics.view"},
        f"{_ONE}/metrics/recent": {"GET": "metrics.view"},
        f"{_ONE}/metrics/history": {"GET": "metrics.view"},
        f"{_ONE}/metrics/marks": {"GET": "metrics.view"},
        "prometheus": {"GET": "connection.list"},
        "compare": {"GET": "connection.list"},
    },
    admin_models=("metrics.retention",),
)
