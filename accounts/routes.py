"""Which action of the policy each address and each topic asks for; what is not here is refused.

A route is written as Django's resolver spells it. An entry that ends with `*` covers all routes
that begin so: Django's admin brings six per model, allauth a dozen per way to log in.
`accounts.route_middleware` turns away what is not declared; whether the caller may touch the object
in question is asked again where the object is read, with the same action.
"""

_ENTER = {"GET": "site.enter", "POST": "site.enter"}
_OWN = {"GET": "self.view", "POST": "self.change"}
_ADMIN = {"GET": "admin.use", "POST": "admin.use"}

_TEAM = "teams/<uuid:team_id>/"
_MACHINE = "machines/<uuid:connection_id>/"
_PROJECT_PAGE = "projects/<uuid:project_id>/"
_JOB_PAGE = "jobs/<uuid:job_id>/"
_RULE_PAGE = "alerts/rules/<uuid:rule_id>"
_CHANNEL_PAGE = "notifications/channels/<uuid:channel_id>"
_EXPORT_PAGE = "exports/<uuid:export_id>"
_SCHEDULE_PAGE = "exports/schedules/<uuid:schedule_id>"
_PAGES: dict[str, dict[str, str]] = {
    "": {"GET": "connection.list"},
    "favicon.ico": {"GET": "site.enter"},
    "csp-reports": {"POST": "site.enter"},
    "this-machine": {"GET": "site.machine"},
    "status": {"GET": "site.status"},
    "compare/": {"GET": "connection.list"},
    "compare/csv": {"GET": "connection.list"},
    "setup/<str:token>": _ENTER,
    "account/": {"GET": "self.view"},
    "account/settings": _OWN,
    "palette": {"GET": "self.view"},
    "version": {"GET": "self.view"},
    "account/tokens": _OWN,
    "account/tokens/<uuid:token_id>/revoke": {"POST": "self.change"},
    "account/tokens/<uuid:token_id>/restore": {"POST": "self.change"},
    "teams/": {"GET": "team.list", "POST": "team.create"},
    "teams/choose": {"POST": "team.list"},
    _TEAM: {"GET": "member.view"},
    f"{_TEAM}rename": {"POST": "team.change"},
    f"{_TEAM}leave": {"POST": "team.leave"},
    f"{_TEAM}delete": {"POST": "team.delete"},
    f"{_TEAM}members": {"POST": "member.change"},
    f"{_TEAM}members/<int:user_id>/role": {"POST": "member.change"},
    f"{_TEAM}members/<int:user_id>/remove": {"POST": "member.change"},
    f"{_TEAM}invitations": {"POST": "member.invite"},
    f"{_TEAM}invitations/<uuid:invitation_id>/revoke": {"POST": "member.invite"},
    "join/<str:secret>": _ENTER,
    "audit/": {"GET": "audit.view"},
    "audit/csv": {"GET": "audit.view"},
    "machines/trash": {"GET": "connection.list"},
    "machines/add": {"GET": "connection.create", "POST": "connection.create"},
    "machines/test": {"POST": "connection.create"},
    _MACHINE: {"GET": "connection.view"},
    f"{_MACHINE}edit": {"GET": "connection.change", "POST": "connection.change"},
    f"{_MACHINE}connect": {"POST": "connection.connect"},
    f"{_MACHINE}disconnect": {"POST": "connection.connect"},
    f"{_MACHINE}host-key": {"POST": "connection.host_key"},
    f"{_MACHINE}delete": {"POST": "connection.delete"},
    f"{_MACHINE}restore": {"POST": "connection.delete"},
    f"{_MACHINE}test": {"POST": "connection.test"},
    f"{_MACHINE}projects": {"GET": "project.view"},
    "projects/": {"GET": "project.list"},
    "projects/trash": {"GET": "project.list"},
    "projects/add": {"GET": "project.create", "POST": "project.create"},
    _PROJECT_PAGE: {"GET": "project.view"},
    f"{_PROJECT_PAGE}edit": {"GET": "project.change", "POST": "project.change"},
    f"{_PROJECT_PAGE}config": {"POST": "project.change"},
    f"{_PROJECT_PAGE}status": {"POST": "project.change"},
    f"{_PROJECT_PAGE}check": {"POST": "project.change"},
    f"{_PROJECT_PAGE}delete": {"POST": "project.delete"},
    f"{_PROJECT_PAGE}restore": {"POST": "project.delete"},
    f"{_MACHINE}jobs": {"GET": "job.view"},
    f"{_MACHINE}queue": {"POST": "queue.change"},
    f"{_MACHINE}gpu-wish": {"POST": "gpu.wish"},
    "jobs/": {"GET": "job.list"},
    "jobs/trash": {"GET": "job.list"},
    "jobs/add": {"GET": "job.create", "POST": "job.create"},
    "jobs/preview": {"POST": "job.create"},
    "jobs/compare": {"GET": "job.list"},
    "jobs/compare/csv": {"GET": "job.list"},
    _JOB_PAGE: {"GET": "job.view"},
    f"{_JOB_PAGE}lines": {"GET": "job.view"},
    f"{_JOB_PAGE}report": {"GET": "job.view"},
    f"{_JOB_PAGE}file": {"GET": "job.files"},
    f"{_JOB_PAGE}start": {"POST": "job.start"},
    f"{_JOB_PAGE}stop": {"POST": "job.stop"},
    f"{_JOB_PAGE}relaunch": {"POST": "job.retry"},
    f"{_JOB_PAGE}delete": {"POST": "job.delete"},
    f"{_JOB_PAGE}restore": {"POST": "job.delete"},
    "usage/": {"GET": "usage.list"},
    "usage/csv": {"GET": "usage.list"},
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
    "exports/": {"GET": "connection.list"},
    "exports/of/<uuid:connection_id>": {"POST": "export.make"},
    f"{_EXPORT_PAGE}/cancel": {"POST": "export.make"},
    f"{_EXPORT_PAGE}/repeat": {"POST": "export.make"},
    f"{_EXPORT_PAGE}/delete": {"POST": "export.make"},
    f"{_EXPORT_PAGE}/restore": {"POST": "export.make"},
    "exports/schedules": {"POST": "connection.list"},
    f"{_SCHEDULE_PAGE}/delete": {"POST": "export.make"},
    f"{_SCHEDULE_PAGE}/restore": {"POST": "export.make"},
    "notifications/": {"GET": "notification.view"},
    "notifications/read": {"POST": "notification.view"},
    "notifications/<uuid:event_id>/open": {"POST": "notification.view"},
    "notifications/choices": _OWN,
    "notifications/channels": {"GET": "channel.manage", "POST": "channel.manage"},
    _CHANNEL_PAGE: {"GET": "channel.manage", "POST": "channel.manage"},
    f"{_CHANNEL_PAGE}/test": {"POST": "channel.manage"},
    f"{_CHANNEL_PAGE}/delete": {"POST": "channel.manage"},
}

# allauth's pages; each asks for the login and the second factor itself where that is needed.
_SIGN_IN: dict[str, dict[str, str]] = {
    "accounts/login/*": _ENTER,
    "accounts/logout/": _ENTER,
    "accounts/inactive/": {"GET": "site.enter"},
    "accounts/signup/*": _ENTER,
    "accounts/confirm-email/": {"GET": "site.enter"},
    "accounts/confirm-email/(*": _ENTER,
    "accounts/password/reset/*": _ENTER,
    "accounts/2fa/authenticate/": _ENTER,
    "accounts/2fa/webauthn/login/": _ENTER,
    "accounts/oidc/*": _ENTER,
    "accounts/social/*": _ENTER,
    "accounts/3rdparty/login/*": _ENTER,
    "accounts/3rdparty/signup/": _ENTER,
    "accounts/3rdparty/": _OWN,
    "accounts/reauthenticate/": _OWN,
    "accounts/email/": _OWN,
    "accounts/password/change/": _OWN,
    "accounts/password/set/": _OWN,
    "accounts/2fa/*": _OWN,
    "accounts/sessions/": _OWN,
}

_BACK_OFFICE: dict[str, dict[str, str]] = {
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
        "auth/group/*",
        "account/emailaddress/*",
        "accounts/user/*",
        "accounts/team/*",
        "accounts/apitoken/*",
        "accounts/auditevent/*",
        "connections/connection/*",
        "connections/keeper/*",
        "connections/serverkey/*",
        "alerts/alert/*",
        "alerts/alertrule/*",
        "projects/project/*",
        "jobs/job/*",
        "jobs/machinequeue/*",
        "metrics/retention/*",
        "usage/usagesettings/*",
        "notifications/channel/*",
        "notifications/event/*",
        "notifications/delivery/*",
    )
}

# Answered by a 404 for the API's clients.
_EVERY = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), "site.enter")

_ONE = "connections/<connection_id>"
_PROJECT = "projects/<project_id>"
_JOB = "jobs/<job_id>"
_CHANNEL = "notification-channels/<channel_id>"
_EXPORT = "exports/<export_id>"
_SCHEDULE = "export-schedules/<schedule_id>"
_V1: dict[str, dict[str, str]] = {
    "": _EVERY,
    "docs": {"GET": "site.documents"},
    "openapi.json": {"GET": "site.documents"},
    "connections": {"GET": "connection.list", "POST": "connection.create"},
    "connections/test": {"POST": "connection.create"},
    _ONE: {"GET": "connection.view", "PATCH": "connection.change", "DELETE": "connection.delete"},
    f"{_ONE}/restore": {"POST": "connection.delete"},
    f"{_ONE}/connect": {"POST": "connection.connect"},
    f"{_ONE}/disconnect": {"POST": "connection.connect"},
    f"{_ONE}/status": {"GET": "connection.view"},
    f"{_ONE}/test": {"POST": "connection.test"},
    f"{_ONE}/host-key": {"POST": "connection.host_key"},
    f"{_ONE}/events": {"GET": "connection.view"},
    f"{_ONE}/metrics": {"GET": "metrics.view"},
    f"{_ONE}/metrics/recent": {"GET": "metrics.view"},
    f"{_ONE}/metrics/history": {"GET": "metrics.view"},
    "prometheus": {"GET": "connection.list"},
    f"{_ONE}/metrics/marks": {"GET": "metrics.view"},
    "compare": {"GET": "connection.list"},
    f"{_ONE}/metrics/export": {"GET": "export.download"},
    "projects": {"GET": "project.list", "POST": "project.create"},
    _PROJECT: {"GET": "project.view", "PATCH": "project.change", "DELETE": "project.delete"},
    f"{_PROJECT}/restore": {"POST": "project.delete"},
    f"{_PROJECT}/check": {"POST": "project.change"},
    f"{_ONE}/gpu-wishes": {"GET": "gpu.wish", "POST": "gpu.wish", "DELETE": "gpu.wish"},
    f"{_ONE}/queue": {"GET": "job.view", "PATCH": "queue.change"},
    "jobs": {"GET": "job.list", "POST": "job.create"},
    "jobs/compare": {"GET": "job.list"},
    _JOB: {"GET": "job.view", "PATCH": "job.change", "DELETE": "job.delete"},
    f"{_JOB}/restore": {"POST": "job.delete"},
    f"{_JOB}/start": {"POST": "job.start"},
    f"{_JOB}/stop": {"POST": "job.stop"},
    f"{_JOB}/retry": {"POST": "job.retry"},
    f"{_JOB}/events": {"GET": "job.view"},
    f"{_JOB}/metrics": {"GET": "job.view"},
    f"{_JOB}/scalars": {"GET": "job.view"},
    f"{_JOB}/bundle": {"GET": "job.view"},
    f"{_JOB}/log": {"GET": "job.view"},
    f"{_JOB}/log/download": {"GET": "job.view"},
    f"{_JOB}/log/search": {"GET": "job.view"},
    "usage": {"GET": "usage.list"},
    "usage/idle": {"GET": "usage.list"},
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
    "tokens": {"GET": "self.view", "POST": "self.change"},
    "tokens/<token_id>": {"DELETE": "self.change"},
    "teams": {"GET": "team.list", "POST": "team.create"},
    "teams/<team_id>": {"PATCH": "team.change"},
    "teams/<team_id>/invitations": {"GET": "member.invite", "POST": "member.invite"},
    "teams/<team_id>/invitations/<invitation_id>": {"DELETE": "member.invite"},
    "teams/<team_id>/members": {"GET": "member.view", "POST": "member.change"},
    "teams/<team_id>/members/<user_id>": {"PATCH": "member.change", "DELETE": "member.change"},
    "users": {"GET": "user.view", "POST": "user.create"},
    "users/<user_id>": {"PATCH": "user.change"},
    "audit": {"GET": "audit.view"},
    "notifications": {"GET": "notification.view"},
    "notifications/read": {"POST": "notification.view"},
    "notification-channels": {"GET": "channel.manage", "POST": "channel.manage"},
    _CHANNEL: {"PATCH": "channel.manage", "DELETE": "channel.manage"},
    f"{_CHANNEL}/test": {"POST": "channel.manage"},
    f"{_CHANNEL}/deliveries": {"GET": "channel.manage"},
}
_API: dict[str, dict[str, str]] = {
    "api/": _EVERY,
    "api/health": {"GET": "site.enter"},
    "api/metrics": {"GET": "site.machine"},
} | {f"api/v1/{rest}": methods for rest, methods in _V1.items()}

ROUTES: dict[str, dict[str, str]] = _PAGES | _SIGN_IN | _BACK_OFFICE | _API

# The kind of a topic is what stands before its colon.
TOPICS: dict[str, str] = {
    "fleet": "connection.list",
    "connection": "connection.view",
    "job": "job.view",
    "notifications": "notification.view",
}


def methods_of(route: str) -> dict[str, str] | None:
    """The action for each method of a route; None if nobody has declared it."""
    exact = ROUTES.get(route)
    if exact is not None:
        return exact
    for pattern, methods in ROUTES.items():
        if pattern.endswith("*") and route.startswith(pattern[:-1]):
            return methods
    return None


def action_of_topic(topic: str) -> str | None:
    """The action that following a topic asks for; None for a kind that is not declared."""
    return TOPICS.get(topic.partition(":")[0])
