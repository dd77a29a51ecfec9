"""What the routes of usage reports ask for."""

from accounts.policy import AppPermissions, Right

PERMISSIONS = AppPermissions(
    actions={"usage.list": Right.PERSON},
    pages={
        "usage/": {"GET": "usage.list"},
        "usage/csv": {"GET": "usage.list"},
    },
    api={
        "usage": {"GET": "usage.list"},
        "usage/idle": {"GET": "usage.list"},
    },
    admin_models=("usage.usagesettings",),
)
