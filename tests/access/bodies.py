"""Bodies that are right, so that what refuses a POST or PATCH is the policy and not the grammar."""

from typing import Any

_MACHINE = {
    "name": "new",
    "hostname": "127.0.0.1",
    "port": 9,
    "username": "ml",
    "auth_method": "password",
    "password": "secret",
    "auto_connect": False,
}
# A value in angle brackets is the object of that name, as in a route.
_PROJECT = {"connection_id": "<connection_id>", "name": "new", "remote_path": "~/new"}
_JOB = {"project_id": "<project_id>", "name": "new", "kind": "command", "command": "true"}
_CHANNEL = {"name": "new", "kind": "webhook", "url": "http://127.0.0.1:9/"}
_RULE = {"name": "new", "metric": "cpu_percent", "comparison": ">", "threshold": 90}
_SCHEDULE = {
    "connection_id": "<connection_id>",
    "kind": "dual",
    "cron": "daily",
}
_FINGERPRINT = "SHA256:" + "A" * 43

# By method and route; a page's form is sent as a form, the API's body as JSON.
BODIES: dict[str, dict[str, Any]] = {
    "POST api/v1/connections": _MACHINE,
    "POST api/v1/connections/test": _MACHINE,
    "PATCH api/v1/connections/<connection_id>": {"name": "renamed"},
    "POST api/v1/connections/<connection_id>/host-key": {"fingerprint": _FINGERPRINT},
    "POST api/v1/connections/<connection_id>/exports": {},
    "POST api/v1/export-schedules": _SCHEDULE,
    "POST api/v1/tokens": {"name": "new"},
    "POST api/v1/teams": {"name": "new"},
    "POST api/v1/teams/<team_id>/members": {"username": "superuser"},
    "PATCH api/v1/teams/<team_id>/members/<user_id>": {"role": "operator"},
    "PATCH api/v1/teams/<team_id>": {"name": "renamed"},
    "POST api/v1/teams/<team_id>/invitations": {"role": "viewer"},
    "POST teams/": {"name": "new"},
    "POST teams/<uuid:team_id>/rename": {"name": "renamed"},
    "POST teams/<uuid:team_id>/delete": {"name": "wrong"},
    "POST teams/<uuid:team_id>/members": {"person": "superuser", "role": "viewer"},
    "POST teams/<uuid:team_id>/members/<int:user_id>/role": {"role": "operator"},
    "POST teams/<uuid:team_id>/invitations": {"role": "viewer"},
    "POST api/v1/users": {"username": "new"},
    "PATCH api/v1/users/<user_id>": {"is_active": False},
    "POST api/v1/notifications/read": {"all": True},
    "POST api/v1/alert-rules": _RULE,
    "POST api/v1/alert-rules/preview": _RULE,
    "PATCH api/v1/alert-rules/<rule_id>": {"name": "renamed"},
    "POST api/v1/notification-channels": _CHANNEL,
    "PATCH api/v1/notification-channels/<channel_id>": {"name": "renamed"},
    "POST api/v1/projects": _PROJECT,
    "POST api/v1/jobs": {"project_id": "<project_id>", "name": "new", "command": "true"},
    "PATCH api/v1/jobs/<job_id>": {"name": "renamed"},
    "POST api/v1/connections/<connection_id>/gpu-alerts": {"gpu": 0},
    "POST api/v1/connections/<connection_id>/gpu-wishes": {"gpu": 0},
    "PATCH api/v1/connections/<connection_id>/queue": {"is_paused": True},
    "PATCH api/v1/projects/<project_id>": {"name": "renamed"},
    "POST jobs/add": _JOB,
    "POST machines/<uuid:connection_id>/queue": {"step": "pause"},
    "POST machines/<uuid:connection_id>/gpu-alert": {"gpu": "0"},
    "POST machines/<uuid:connection_id>/gpu-wish": {"gpu": "0"},
    "POST jobs/preview": _JOB,
    "POST projects/add": _PROJECT,
    "POST projects/<uuid:project_id>/edit": {"name": "renamed", "remote_path": "~/x"},
    "POST projects/<uuid:project_id>/config": {"config_text": "{}"},
    "POST projects/<uuid:project_id>/status": {"status": "paused"},
    "POST machines/<uuid:connection_id>/host-key": {"fingerprint": _FINGERPRINT},
}
