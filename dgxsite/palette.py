"""What the palette finds: machines, projects, jobs that one may see, pages, what can be done.

One answer, read when the palette is opened and filtered in the browser. An action is a form post
to an address of the pages, which asks the policy again.
"""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts import preferences
from accounts.audit import query as audit_query
from accounts.auth.callers import caller_from_page
from accounts.models import User
from accounts.policy import Caller, may
from connections.models import Connection
from connections.pages import context as pages_context
from dgxsite import status
from jobs.models import Job
from projects import pages as project_pages
from projects.models import LONG_TEXTS, Project

# More are found by the filter of the overview.
MACHINES = 500
PROJECTS = 200
JOBS = 100

# Name of the address, label, other words by which it is found.
_PAGES = (
    ("overview", "Machines", "all overview fleet"),
    ("alerts", "Alerts", "rules ring firing acknowledge snooze"),
    ("projects", "Projects", "folders training config"),
    ("connection_trash", "Trash", "deleted machines restore undo"),
    ("jobs", "Jobs", "runs training queue log"),
    ("job_trash", "Trash: jobs", "deleted jobs restore undo"),
    ("project_trash", "Trash: projects", "deleted projects restore undo"),
    ("exports", "Exports", "files download csv json parquet sqlite schedule"),
    ("usage", "Usage", "who used gpu hours energy kwh cost idle"),
    ("compare", "Compare", "beside difference overlay energy"),
    ("notifications", "Notifications", "bell alerts news"),
    ("notification_choices", "What reaches you", "notification choices quiet hours e-mail"),
    ("settings", "Settings", "profile time zone density shortcuts preferences"),
    ("account", "Account", "password security"),
    ("tokens", "API tokens", "scripts secret"),
    ("teams", "Teams", "members roles invite people"),
    ("mfa_index", "Second factor and passkeys", "totp security"),
    ("usersessions_list", "Sessions", "sign out security"),
    ("account_logout", "Log out", "sign out leave"),
)


@login_required
@require_GET
def palette(request: HttpRequest) -> JsonResponse:
    """`{"items": [{"kind", "label", "detail", "words", "href", "post"}]}`, best known first."""
    caller = caller_from_page(request)
    user = caller.user
    rows = Connection.objects.visible_to(user).select_related("team").order_by("name")[:MACHINES]
    operable = set(Connection.objects.operable_by(user).values_list("pk", flat=True))
    items = [_machine(row) for row in rows]
    items += _projects(user)
    items += _jobs(user)
    items += _pages(caller)
    items += [_switch(row) for row in rows if row.pk in operable]
    return JsonResponse({"items": items})


def _machine(row: Connection) -> dict[str, Any]:
    detail = f"{row.status} · {row.team}"
    words = " ".join((row.hostname, *row.tags))
    return _item(
        "machine", row.name, detail, f"{reverse('machine', args=[row.pk])}?tab=metrics", words
    )


def _projects(user: User) -> list[dict[str, Any]]:
    rows = Project.objects.visible_to(user).select_related("connection").defer(*LONG_TEXTS)
    return [
        _item(
            "project",
            row.name,
            f"{row.status} · {row.connection.name}",
            reverse("project", args=[row.pk]),
            f"{row.remote_path} {row.project_type}",
        )
        for row in rows.order_by("-last_activity_at")[:PROJECTS]
    ]


def _jobs(user: User) -> list[dict[str, Any]]:
    """The newest; older ones are found by the filter of their list."""
    rows = Job.objects.visible_to(user).select_related("project").order_by("-created_at", "-pk")
    rows = rows.only("name", "status", "model_name", "project__name")
    return [
        _item(
            "job",
            row.name,
            f"{row.status} · {row.project.name}",
            reverse("job", args=[row.pk]),
            row.model_name,
        )
        for row in rows[:JOBS]
    ]


def _pages(caller: Caller) -> list[dict[str, Any]]:
    items = [_item("page", label, "", reverse(name), words) for name, label, words in _PAGES]
    if preferences.of(caller.user).this_machine:
        items.append(_item("page", "This machine", "", reverse("this_machine_page"), "own host"))
    if pages_context.may_add(caller.user):
        items.append(_item("page", "Add machine", "", reverse("connection_add"), "new connection"))
    if project_pages.may_add(caller.user):
        items.append(_item("page", "New project", "", reverse("project_add"), "make add folder"))
        items.append(_item("page", "New job", "", reverse("job_add"), "run start train command"))
    if audit_query.may_read(caller):
        items.append(_item("page", "Audit", "", reverse("audit"), "trail log who did what"))
    if may(caller, status.ACTION):
        items.append(_item("page", "Status", "", reverse("status"), "health trouble parts keeper"))
    if caller.user.is_staff:
        items.append(_item("page", "Administration", "", reverse("admin:index"), "admin users"))
    items.append(_item("page", "API", "", "/api/v1/docs", "documentation openapi"))
    return items


def _switch(row: Connection) -> dict[str, Any]:
    """Connect or disconnect, whichever the machine is not wished to be."""
    verb, name = (
        ("Disconnect", "connection_disconnect")
        if row.is_active
        else ("Connect", "connection_connect")
    )
    return _item(
        "action", f"{verb} {row.name}", row.status, reverse(name, args=[row.pk]), post=True
    )


def _item(
    kind: str, label: str, detail: str, href: str, words: str = "", *, post: bool = False
) -> dict[str, Any]:
    return {
        "kind": kind,
        "label": label,
        "detail": detail,
        "words": words,
        "href": href,
        "post": post,
    }
