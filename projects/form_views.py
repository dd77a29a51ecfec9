"""The pages with the form of a project: new, and changed."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from accounts.auth.callers import caller_from_page
from accounts.policy import forbidden
from core.errors import ChangedMeanwhile, Forbidden, NotFound, SiteError
from projects import pages, services
from projects.forms import ProjectForm
from projects.models import Project

# What both versions are compared by when somebody else was faster.
_SHOWN = (
    ("name", "Name"),
    ("project_type", "Type"),
    ("remote_path", "Folder"),
    ("description", "Description"),
)


@login_required
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponseBase:
    """The form for a new project; afterwards its page. `?machine=` chooses the machine."""
    caller = caller_from_page(request)
    if not pages.may_add(caller.user):
        raise forbidden("project.create")
    data = request.POST if request.method == "POST" else None
    form = ProjectForm(caller.user, None, data, request.GET.get("machine", ""))
    if data is not None and (fields := form.api_fields()) is not None:
        try:
            return _go(request, services.create(caller, fields))
        except (NotFound, Forbidden):
            raise
        except SiteError as error:
            form.take(error)
    return _form_page(request, form)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    """The same form for a project that is there."""
    caller = caller_from_page(request)
    row = services.find(caller, project_id, "project.change")
    data = request.POST if request.method == "POST" else None
    form = ProjectForm(caller.user, row, data)
    context: dict[str, Any] = {}
    if data is not None and (fields := form.api_fields()) is not None:
        revision = form.cleaned_data["revision"]
        try:
            return _go(request, services.change(caller, project_id, fields, revision=revision))
        except (NotFound, Forbidden):
            raise
        except SiteError as error:
            form.take(error)
            if isinstance(error, ChangedMeanwhile):
                context = _both_versions(services.find(caller, project_id), fields)
    return _form_page(request, form, context)


def _both_versions(row: Project, fields: dict[str, Any]) -> dict[str, Any]:
    """What somebody else has written, beside what this person wants; and the row's new number."""
    pairs = [
        (title, getattr(row, name), fields[name])
        for name, title in _SHOWN
        if name in fields and getattr(row, name) != fields[name]
    ]
    return {"conflict": pairs, "revision": row.revision}


def _form_page(
    request: HttpRequest, form: ProjectForm, context: dict[str, Any] | None = None
) -> HttpResponse:
    """The form, or for htmx what came of it, so that what was typed stays in the browser."""
    context = {"form": form, "project": form.row} | (context or {})
    status = 200
    if form.is_bound:
        status = 409 if "conflict" in context else 422
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "projects/_form_outcome.html" if is_fragment else "projects/form.html"
    return render(request, name, context, status=status)


def _go(request: HttpRequest, row: Project) -> HttpResponseBase:
    address = reverse("project", args=[row.pk])
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(address)
    return redirect(address)
