"""Pages about projects, and the posts that need no form: each calls one service.

Every post works without JavaScript: it redirects to a page that says what came of it.
"""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.auth.callers import caller_from_page
from accounts.teams import current_team
from connections import services as machines
from connections.models import Connection
from connections.pages.context import machine_context
from core import soft_delete
from core.errors import Forbidden, NotFound, SiteError
from projects import attached, config_views, pages, services
from projects.models import LONG_TEXTS, Status


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """All projects the person may see, narrowed by what the address says."""
    caller = caller_from_page(request)
    teams = Connection.objects.filter(current_team.narrowed(request))
    rows = services.visible(caller).filter(connection__in=teams)
    context = pages.listing(rows, pages.Choice.read(request.GET), request.GET.get("page"))
    context |= {
        "may_add": pages.may_add(caller.user),
        "has_machines": Connection.objects.visible_to(caller.user).exists(),
        "undo_project": pages.deleted_by(caller, request.GET.get("deleted", "")),
    }
    return render(request, "projects/overview.html", context)


@login_required
@require_GET
def of_machine(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The same list for one machine, as a tab of its page."""
    caller = caller_from_page(request)
    row = machines.find(caller, connection_id, "project.view")
    rows = services.visible(caller).filter(connection=row)
    context = machine_context(caller.user, row) | {"tab": "projects"}
    context |= pages.listing(rows, pages.Choice.read(request.GET), request.GET.get("page"))
    context |= {"may_add": context["may_operate"], "has_machines": True}
    return render(request, "projects/of_machine.html", context)


@login_required
@require_GET
def project(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """One project: what it is, or with `?tab=config` its configuration."""
    caller = caller_from_page(request)
    row = services.find(caller, project_id)
    context = pages.project_context(caller, row)
    if request.GET.get("tab") == "config":
        return config_views.editor(request, context)
    jobs = attached.job_counts([row.pk])
    context |= {"tab": "overview", "jobs": jobs[row.pk] if jobs else None}
    return render(request, "projects/project_overview.html", context)


@login_required
@require_GET
def trash(request: HttpRequest) -> HttpResponse:
    """The projects that were deleted in the last 30 days, each with its way back."""
    rows = services.trash(caller_from_page(request)).defer(*LONG_TEXTS)
    context = {"lines": soft_delete.last_days(rows), "days": soft_delete.PERIOD.days}
    return render(request, "projects/trash.html", context)


@login_required
@require_POST
def set_status(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """Active, paused or archived."""
    status = request.POST.get("status", "")
    if status not in Status.values:
        messages.error(request, "There is no such status.")
        return redirect("project", project_id)
    row = services.change(caller_from_page(request), project_id, {"status": status})
    messages.success(request, f"{row.name} is {row.status} now.")
    return redirect("project", project_id)


@login_required
@require_POST
def check_folder(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """Ask the machine for the folder again."""
    row = services.check_folder(caller_from_page(request), project_id)
    if row.resolved_path:
        messages.success(request, f"The folder is there: {row.resolved_path}")
    else:
        messages.error(request, row.path_note)
    return redirect("project", project_id)


@login_required
@require_POST
def delete(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """Into the trash; the list offers to undo it."""
    try:
        services.delete(caller_from_page(request), project_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
        return redirect("project", project_id)
    return redirect(f"{reverse('projects')}?deleted={project_id}")


@login_required
@require_POST
def restore(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """Out of the trash again."""
    try:
        row = services.restore(caller_from_page(request), project_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
        return redirect("project_trash")
    messages.success(request, f"{row.name} is back.")
    return redirect("project", project_id)
