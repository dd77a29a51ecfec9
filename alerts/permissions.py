"""What the routes of alerts and their rules ask for."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_RULE_PAGE = "alerts/rules/<uuid:rule_id>"

PERMISSIONS = AppPermissions(
    actions={
        "alert.list": Right.PERSON,
        "alert.acknowledge": Role.OPERATOR,
        "alert_rule.view": Role.VIEWER,
        "alert_rule.create": Role.OPERATOR,
        "alert_rule.change": Role.OPERATOR,
    },
    pages={
        "alerts/": {"GET": "alert.list"},
        "alerts/<uuid:alert_id>/acknowledge": {"POST": "alert.acknowledge"},
        "alerts/machines/<uuid:connection_id>": {"GET": "connection.view"},
        "alerts/rules/add": {"GET": "alert_rule.create", "POST": "alert_rule.create"},
        "alerts/rules/preview": {"POST": "alert_rule.create"},
        "alerts/rules/suggested": {"POST": "alert_rule.create"},
        _RULE_PAGE: {"GET": "alert_rule.change", "POST": "alert_rule.change"},
        f"{_RULE_PAGE}/snooze": {"POST": "alert_rule.change"},
        f"{_RULE_PAGE}/switch": {"POST": "alert_rule.change"},
        f"{_RULE_PAGE}/delete": {"POST": "alert_rule.change"},
        f"{_RULE_PAGE}/restore": {"POST": "alert_rule.change"},
    },
    api={
        "alert-rules": {"GET": "alert.list", "POST": "alert_rule.create"},
        "alert-rules/preview": {"POST": "alert_rule.create"},
        "alert-rules/<rule_id>": {
            "GET": "alert_rule.view",
            "PATCH": "alert_rule.change",
            "DELETE": "alert_rule.change",
        },
        "alert-rules/<rule_id>/restore": {"POST": "alert_rule.change"},
        "alerts": {"GET": "alert.list"},
        "alerts/<alert_id>/acknowledge": {"POST": "alert.acknowledge"},
    },
    admin_models=("alerts.alert", "alerts.alertrule"),
)
