"""What the routes of exports and their schedules ask for."""

from accounts.models import Role
from accounts.policy import AppPermissions

_EXPORT_PAGE = "exports/<uuid:export_id>"
_SCHEDULE_PAGE = "exports/schedules/<uuid:schedule_id>"
_ONE = "connections/<connection_id>"
_EXPORT = "exports/<export_id>"
_SCHEDULE = "export-schedules/<schedule_id>"

PERMISSIONS = AppPermissions(
    actions={
        "export.view": Role.VIEWER,
        "export.download": Role.VIEWER,
        "export.make": Role.OPERATOR,
    },
    pages={
        "exports/": {"GET": "connection.list"},
        "exports/of/<uuid:connection_id>": {"POST": "export.make"},
        f"{_EXPORT_PAGE}/cancel": {"POST": "export.make"},
        f"{_EXPORT_PAGE}/repeat": {"POST": "export.make"},
        f"{_EXPORT_PAGE}/delete": {"POST": "export.make"},
        f"{_EXPORT_PAGE}/restore": {"POST": "export.make"},
        "exports/schedules": {"POST": "connection.list"},
        f"{_SCHEDULE_PAGE}/delete": {"POST": "export.make"},
        f"{_SCHEDULE_PAGE}/restore": {"POST": "export.make"},
    },
    api={
        f"{_ONE}/metrics/export": {"GET": "export.download"},
        f"{_ONE}/exports": {"POST": "export.make"},
        "exports": {"GET": "connection.list"},
        _EXPORT: {"GET": "export.view", "DELETE": "export.make"},
        f"{_EXPORT}/download": {"GET": "export.download"},
        f"{_EXPORT}/restore": {"POST": "export.make"},
        f"{_EXPORT}/cancel": {"POST": "export.make"},
        f"{_EXPORT}/repeat": {"POST": "export.make"},
        "export-schedules": {"GET": "connection.list", "POST": "export.make"},
        _SCHEDULE: {"DELETE": "export.make"},
        f"{_SCHEDULE}/restore": {"POST": "export.make"},
    },
)
