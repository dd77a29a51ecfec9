"""What the routes of notifications and channels ask for."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_CHANNEL_PAGE = "notifications/channels/<uuid:channel_id>"
_CHANNEL = "notification-channels/<channel_id>"

PERMISSIONS = AppPermissions(
    actions={
        "notification.view": Right.PERSON,
        "channel.manage": Role.ADMINISTRATOR,
    },
    pages={
        "notifications/": {"GET": "notification.view"},
        "notifications/read": {"POST": "notification.view"},
        "notifications/<uuid:event_id>/open": {"POST": "notification.view"},
        "notifications/choices": {"GET": "self.view", "POST": "self.change"},
        "notifications/channels": {"GET": "channel.manage", "POST": "channel.manage"},
        _CHANNEL_PAGE: {"GET": "channel.manage", "POST": "channel.manage"},
        f"{_CHANNEL_PAGE}/test": {"POST": "channel.manage"},
        f"{_CHANNEL_PAGE}/delete": {"POST": "channel.manage"},
    },
    api={
        "notifications": {"GET": "notification.view"},
        "notifications/read": {"POST": "notification.view"},
        "notification-channels": {"GET": "channel.manage", "POST": "channel.manage"},
        _CHANNEL: {"PATCH": "channel.manage", "DELETE": "channel.manage"},
        f"{_CHANNEL}/test": {"POST": "channel.manage"},
        f"{_CHANNEL}/deliveries": {"GET": "channel.manage"},
    },
    topics={"notifications": "notification.view"},
    admin_models=("notifications.channel", "notifications.event", "notifications.delivery"),
)
