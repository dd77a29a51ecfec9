"""The page with the form of a new job, and the exact command that it stands for."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller, forbidden
from core.errors import Forbidden, NotFound, SiteError
from jobs import command_preview, services
from jobs import inputs as jobs_inputs
from jobs.models import Job
from jobs.pages.forms import JobForm, initial_from
from projects import hidden
from projects import services as projects
from projects.pages import may_add


@login_required
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponseBase:
    """The form; afterwards the job's page. `?project=` and `?from=` (a job) fill it."""
    caller = caller_from_page(request)
    _check(caller)
    if request.method == "GET":
        return _form_page(request, JobForm(caller.user, None, _initial(caller, request)))
    form = JobForm(caller.user, request.POST)
    if (fields := form.api_fields(_source(caller, request.POST.get("source", "")))) is not None:
        fields["start"] = request.POST.get("step") != "later"
        try:
            return _go(request, services.create(caller, fields))
        except (NotFound, Forbidden):
            raise
        except SiteError as error:
            form.take(error)
    return _form_page(request, form)


@login_required
@require_POST
def preview_command(request: HttpRequest) -> HttpResponse:
    """What would run, for the form as it is now; the first mistake while there is one."""
    caller = caller_from_page(request)
    _check(caller)
    form = JobForm(caller.user, request.POST)
    context: dict[str, Any] = {}
    if (fields := form.api_fields(_source(caller, request.POST.get("source", "")))) is not None:
        try:
            context["script"] = command_preview.script(jobs_inputs.new(caller, fields))
        except SiteError as error:
            form.take(error)
    context["problem"] = next((text for texts in form.errors.values() for text in texts), "")
    return render(request, "jobs/_preview.html", context)


def _check(caller: Caller) -> None:
    """Only for who may run jobs somewhere; on which machine, the service asks."""
    if not may_add(caller.user):
        raise forbidden("job.create")


def _initial(caller: Caller, request: HttpRequest) -> dict[str, Any]:
    """The inputs of the job asked for, else of the project's last one, else its configuration."""
    wanted, project = _uuid(request.GET.get("from", "")), _uuid(request.GET.get("project", ""))
    rows = Job.objects.operable_by(caller.user).select_related("project")
    source = rows.filter(pk=wanted).first() if wanted else None
    if source is None and project:
        source = rows.filter(project_id=project).order_by("-created_at", "-pk").first()
    if source is not None:
        return initial_from(source)
    if project is None:
        return {}
    row = projects.find(caller, project)
    config = hidden.shown(row.config_text) if row.config else ""
    return {"project_id": str(row.pk), "name": row.name, "config": config}


def _source(caller: Caller, source: str) -> Job | None:
    """The job from which the form was filled, if this person may start it again."""
    wanted = _uuid(source)
    if wanted is None:
        return None
    try:
        return services.find(caller, wanted, "job.retry")
    except SiteError:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _form_page(request: HttpRequest, form: JobForm) -> HttpResponse:
    """The form, or for htmx what came of it, so that what was typed stays in the browser."""
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "jobs/_form_outcome.html" if is_fragment else "jobs/form.html"
    return render(request, name, {"form": form}, status=422 if form.is_bound else 200)


def _go(request: HttpRequest, row: Job) -> HttpResponseBase:
    address = f"{reverse('job', args=[row.pk])}?tab=log"
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(address)
    return redirect(address)
