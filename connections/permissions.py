"""What the routes of machines ask for."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_PAGE = "machines/<uuid:connection_id>/"
_ONE = "connections/<connection_id>"

PERMISSIONS = AppPermissions(
    actions={
        "connection.list": Right.PERSON,
        "connection.view": Role.VIEWER,
        "connection.connect": Role.OPERATOR,
        "connection.test": Role.OPERATOR,
        "connection.create": Role.ADMINISTRATOR,
        "connection.change": Role.ADMINISTRATOR,
        "connection.delete": Role.ADMINISTRATOR,
        "connection.host_key": Role.ADMINISTRATOR,
    },
    pages={
        "machines/trash": {"GET": "connection.list"},
        "machines/add": {"GET": "connection.create", "POST": "connection.create"},
        "machines/test": {"POST": "connection.create"},
        f"{_PAGE}edit": {"GET": "connection.change", "POST": "connection.change"},
        f"{_PAGE}connect": {"POST": "connection.connect"},
        f"{_PAGE}disconnect": {"POST": "connection.connect"},
        f"{_PAGE}host-key": {"POST": "connection.host_key"},
        f"{_PAGE}delete": {"POST": "connection.delete"},
        f"{_PAGE}restore": {"POST": "connection.delete"},
        f"{_PAGE}test": {"POST": "connection.test"},
    },
    api={
        "connections": {"GET": "connection.list", "POST": "connection.create"},
        "connections/test": {"POST": "connection.create"},
        _ONE: {
            "GET": "connection.view",
            "PATCH": "connection.change",
            "DELETE": "connection.delete",
        },
        f"{_ONE}/restore": {"POST": "connection.delete"},
        f"{_ONE}/connect": {"POST": "connection.connect"},
        f"{_ONE}/disconnect": {"POST": "connection.connect"},
        f"{_ONE}/status": {"GET": "connection.view"},
        f"{_ONE}/test": {"POST": "connection.test"},
        f"{_ONE}/host-key": {"POST": "connection.host_key"},
        f"{_ONE}/events": {"GET": "connection.view"},
    },
    topics={"fleet": "connection.list", "connection": "connection.view"},
    admin_models=("connections.connection", "connections.keeper", "connections.serverkey"),
)
