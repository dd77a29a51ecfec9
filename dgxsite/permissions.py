"""What the routes of the site itself ask for: its status, the API's frame, the back office's."""

from accounts.policy import AppPermissions, Right

_ADMIN = {"GET": "admin.use", "POST": "admin.use"}
# Answered by a 404 for the API's clients.
_EVERY = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), "site.enter")

# The pages of Django's admin that belong to no model.
_BACK_OFFICE = {
    f"admin/{rest}": _ADMIN
    for rest in (
        "",
        "login/",
        "logout/",
        "password_change/*",
        "autocomplete/",
        "jsi18n/",
        "r/<path:content_type_id>/<path:object_id>/",
        "(?P<app_label>*",
        "(?P<url>.*)$",
    )
}

PERMISSIONS = AppPermissions(
    actions={
        "site.documents": Right.PERSON,
        "site.status": Right.SUPERUSER,
    },
    pages=_BACK_OFFICE
    | {
        "favicon.ico": {"GET": "site.enter"},
        "csp-reports": {"POST": "site.enter"},
        "status": {"GET": "site.status"},
        "palette": {"GET": "self.view"},
        "version": {"GET": "self.view"},
        "api/": _EVERY,
        "api/health": {"GET": "site.enter"},
        "api/metrics": {"GET": "site.machine"},
    },
    api={
        "": _EVERY,
        "docs": {"GET": "site.documents"},
        "openapi.json": {"GET": "site.documents"},
    },
)
