"""Pages about jobs: the lists, one job and its tabs, and the lines of its log for the viewer."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts import preferences
from accounts.auth.callers import caller_from_page
from accounts.policy import Caller
from accounts.teams import current_team
from connections import services as machines
from connections.models import Connection
from connections.pages.context import machine_context
from core import soft_delete
from core.times import iso
from jobs import services
from jobs.log import page as log_page
from jobs.log import viewer
from jobs.models import Job
from jobs.pages import context as pages_context
from jobs.pages import machine_tabs, queue
from jobs.pages.filters import Choice
from jobs.results import page as results_page
from metrics.live import store as live_store
from metrics.pages import history_section

_TABS = ("overview", "log", "metrics", "config", "files", "container")
# Those for which the machine is asked.
_ASKING = {"files": machine_tabs.files, "container": machine_tabs.of_container}


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The jobs of all machines the person may see, narrowed by what the address says."""
    caller = caller_from_page(request)
    teams = Connection.objects.filter(current_team.narrowed(request))
    rows = services.visible(caller).filter(connection__in=teams)
    context = {"undo_job": pages_context.deleted_by(caller, request.GET.get("deleted", ""))}
    return _list(request, caller, rows, "jobs/overview.html", context)


@login_required
@require_GET
def of_machine(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The same list for one machine, as a tab of its page, with the state of its queue."""
    caller = caller_from_page(request)
    row = machines.find(caller, connection_id, "job.view")
    rows = services.visible(caller).filter(connection=row)
    context = machine_context(caller.user, row) | {"tab": "jobs"}
    context |= queue.context(services.queue_of(caller, connection_id))
    return _list(request, caller, rows, "jobs/of_machine.html", context)


def _list(
    request: HttpRequest, caller: Caller, rows: QuerySet[Job], page: str, context: dict[str, Any]
) -> HttpResponse:
    """The page, or for htmx the list alone."""
    context |= pages_context.listing(
        caller, rows, Choice.read(request.GET), request.GET.get("page")
    )
    if request.headers.get("HX-Request") == "true":
        return render(request, "jobs/_rows.html", context)
    context |= pages_context.offers(caller, rows)
    address = request.build_absolute_uri("/api/v1/jobs")
    context["example"] = pages_context.example(address, context["projects"])
    return render(request, page, context)


@login_required
@require_GET
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One job: `?tab=overview` (the default), `log`, `metrics`, `config`, `files`, `container`."""
    caller = caller_from_page(request)
    found = services.find(caller, job_id)
    tab = request.GET.get("tab", "")
    context = pages_context.job_context(caller, found)
    context["tab"] = tab = tab if tab in _TABS else "overview"
    if tab == "metrics":
        return _metrics_tab(request, caller, context)
    if tab in _ASKING:
        return _ASKING[tab](request, caller, context)
    if tab == "log":
        context |= log_page.context(found, request.GET.get("line", ""))
    elif tab == "config":
        context |= pages_context.config_tab(found)
    else:
        context |= pages_context.overview_tab(found)
    return render(request, f"jobs/job_{tab}.html", context)


def _metrics_tab(request: HttpRequest, caller: Caller, context: dict[str, Any]) -> HttpResponse:
    """The machine's charts over the job's span; one granted GPU is shown alone at first."""
    row: Job = context["job"]
    form = history_section.window_form(request.GET)
    if form.is_bound and form.is_valid():
        return HttpResponseRedirect(history_section.address(request.GET, form))
    if not _is_placed(request.GET, row):
        return HttpResponseRedirect(f"?{_placed(request.GET, row)}")
    if row.started_at is not None:
        context |= results_page.of_run(row) | results_page.printed(
            row, request.GET.getlist("curve")
        )
    chosen = preferences.of(caller.user).default_range
    sample = live_store.latest(row.connection_id)
    context |= history_section.context(row.connection, request.GET, sample, chosen, form)
    return render(request, "jobs/job_metrics.html", context)


def _is_placed(query: QueryDict, row: Job) -> bool:
    """Whether the address says which window to show; one without an end goes on until now."""
    is_open = "start" in query and "end" not in query
    return (
        row.started_at is None
        or "range" in query
        or ("start" in query and not (is_open and row.completed_at))
    )


def _placed(query: QueryDict, row: Job) -> str:
    """The query string of the metrics tab over the job's run, with what else is chosen."""
    chosen = query.copy()
    chosen["tab"] = "metrics"
    for name, moment in (("start", row.started_at), ("end", row.completed_at)):
        if moment:
            chosen.setdefault(name, iso(moment) or "")
    granted = row.granted or []
    if "gpu" not in chosen and len(granted) == 1 and granted[0].isdecimal():
        chosen["gpu"] = granted[0]
    return chosen.urlencode(safe=":/")


@login_required
@require_GET
def log_lines(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """Lines for the viewer: `?before=`, `?after=` or `?around=` a line, else the last ones."""
    row = services.find(caller_from_page(request), job_id)
    for name, read in (
        ("before", viewer.before),
        ("after", viewer.after),
        ("around", viewer.around),
    ):
        if (line := log_page.number(request.GET.get(name, ""))) is not None:
            return JsonResponse(log_page.as_dict(read(row, line, log_page.MORE)))
    return JsonResponse(log_page.as_dict(viewer.tail(row)))


@login_required
@require_GET
def trash(request: HttpRequest) -> HttpResponse:
    """The jobs that were deleted in the last 30 days, each with its way back."""
    rows = services.trash(caller_from_page(request)).select_related("project")[:500]
    context = {"lines": soft_delete.last_days(rows), "days": soft_delete.PERIOD.days}
    return render(request, "jobs/trash.html", context)
