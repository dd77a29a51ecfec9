"""The pages that show readings: all machines, one machine, this machine."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import preferences
from accounts.auth.callers import caller_from_page
from accounts.models import Membership, Role, User
from accounts.teams import current_team
from connections.explanations import EXPLANATIONS
from connections.models import Connection, Status
from connections.pages import context as pages_context
from core.numbers import whole
from metrics.collectors.this_machine import this_machine as collected
from metrics.live import store as live_store
from metrics.pages import fleet, history_section, panels, site_host, summaries

_TROUBLED = (Status.ERROR,)
# Three intervals without a sample: the numbers are no longer live.
_STALE = timedelta(seconds=3 * settings.SAMPLE_SECONDS)
# Panels that are drawn for another site's machine; no machine has more.
_MOST_GPUS = 64


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """All machines the person may see; htmx and polling get the table alone."""
    user = caller_from_page(request).user
    choice = fleet.Choice.read(request.GET)
    visible = Connection.objects.visible_to(user).filter(current_team.narrowed(request))
    rows = list(visible.select_related("team").order_by("name"))
    samples = {
        key: orjson.loads(text)
        for key, text in live_store.latest_json([r.pk for r in rows]).items()
    }
    all_lines = fleet.lines(rows, samples, _roles(user, rows))
    page = Paginator(fleet.chosen(all_lines, choice), fleet.PAGE).get_page(request.GET.get("page"))
    page.object_list = fleet.with_sparklines(page.object_list, timezone.now())
    connected = [line for line in all_lines if line.connection.status == Status.CONNECTED]
    context = {
        "has_machines": bool(rows),
        "machines": len(rows),
        "connected": len(connected),
        "troubled": sum(1 for row in rows if row.status in _TROUBLED),
        "totals": summaries.totals(line.summary for line in connected),
        "counts": fleet.counts(all_lines),
        "tags": fleet.tags(all_lines),
        "columns": fleet.COLUMNS,
        "choice": choice,
        "page": page,
        "reasons": json.dumps({key: text.short for key, text in EXPLANATIONS.items()}),
        "may_add": pages_context.may_add(user),
        "undo": pages_context.deleted_by(user, request.GET.get("deleted", "")),
    }
    is_fragment = request.headers.get("HX-Request") == "true"
    return render(
        request, "metrics/_fleet.html" if is_fragment else "metrics/overview.html", context
    )


@login_required
@require_GET
def machine(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """One machine: `?tab=connection` (the default) or `?tab=metrics`."""
    user = caller_from_page(request).user
    rows = Connection.objects.visible_to(user).select_related("team", "jump_connection")
    connection = get_object_or_404(rows, pk=connection_id)
    if request.GET.get("tab") == "metrics":
        return _metrics_tab(request, user, connection)
    context = pages_context.machine_context(user, connection) | pages_context.connection_tab(
        connection
    )
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "connections/_connection.html" if is_fragment else "connections/machine_connection.html"
    return render(request, name, {"tab": "connection", **context})


def _metrics_tab(request: HttpRequest, user: User, connection: Connection) -> HttpResponse:
    form = history_section.window_form(request.GET)
    if form.is_bound and form.is_valid():
        return HttpResponseRedirect(history_section.address(request.GET, form))
    readings = _metrics(connection, request.GET)
    chosen = preferences.of(user).default_range
    history = history_section.context(connection, request.GET, readings["sample"], chosen, form)
    context = {
        "tab": "metrics",
        **pages_context.machine_context(user, connection),
        **readings,
        **history,
    }
    return render(request, "metrics/machine_metrics.html", context)


@login_required
@require_GET
def this_machine(request: HttpRequest) -> HttpResponseBase:
    """The machine the site runs on; its numbers go on coming over `/ws/metrics/`.

    A person may turn the page off, or have their browser read another site's machine. That site is
    then the one foreign source of this page; the server itself never calls it.
    """
    chosen = preferences.of(caller_from_page(request).user)
    if not chosen.this_machine:
        return render(request, "metrics/this_machine.html", {"is_off": True})
    origin = chosen.this_machine_address
    if not origin:
        return _own_page(request, collected())
    sources = [origin, origin.replace("http", "ws", 1)]
    data = site_host.unread(_count(request.GET.get("gpus", "")))
    page = csp_update({"connect-src": sources})(lambda request: _own_page(request, data, origin))
    return page(request)


def _count(text: str) -> int:
    """How many GPUs the browser has found there; nonsense is none."""
    return whole(text, _MOST_GPUS) or 0


def _own_page(request: HttpRequest, data: dict[str, Any], origin: str = "") -> HttpResponse:
    context = {
        "origin": origin,
        "gauges": site_host.machine_gauges(data),
        "meters": site_host.machine_meters(data),
        "panels": [
            {"name": gpu["model"] or "GPU", "gauges": site_host.gpu_gauges(gpu)}
            for gpu in data["gpus"]
        ],
    }
    return render(request, "metrics/this_machine.html", context)


def _roles(user: User, rows: list[Connection]) -> dict[UUID, str]:
    """The person's role in each team, in one query."""
    if user.is_superuser:
        return {row.team_id: Role.ADMINISTRATOR for row in rows}
    return dict(Membership.objects.filter(user=user).values_list("team_id", "role"))


def _metrics(connection: Connection, query: Any) -> dict[str, Any]:
    sample = live_store.latest(connection.pk)
    if sample is None:
        return {"sample": None, "gpu_choice": "all"}
    choice = _gpu_choice(sample, query.get("gpu", ""))
    recent = live_store.recent(connection.pk)
    session = live_store.session(connection.pk)
    shown = [gpu for gpu in sample["gpus"] if choice in ("all", str(gpu["index"]))]
    return {
        "sample": sample,
        "gpu_choice": choice,
        "gpu_names": panels.names(sample),
        "is_stale": _is_stale(connection, sample),
        "panels": [panels.panel(gpu, recent, is_small=choice == "all") for gpu in shown],
        "meters": panels.meters(sample),
        "processes": panels.processes(sample),
        "traffic": panels.traffic(sample, session),
        "knows_session": session is not None,
    }


def _gpu_choice(sample: dict[str, Any], wanted: str) -> str:
    """The asked-for GPU if there is one; else all of several, or the only one."""
    indices = [str(gpu["index"]) for gpu in sample["gpus"]]
    if wanted in indices:
        return wanted
    return indices[0] if len(indices) == 1 else "all"


def _is_stale(connection: Connection, sample: dict[str, Any]) -> bool:
    age = timezone.now() - datetime.fromisoformat(sample["recorded_at"])
    return connection.status != Status.CONNECTED or age > _STALE
