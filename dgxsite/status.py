"""The superusers' page of what is wrong anywhere: the site's own parts, its machines, its jobs.

Health (`/api/health`) says without a log-in how the site is and names nobody; this page names the
machine that is not read any more, the one of whose tools a part is left out, and the job whose log
takes too long to read. It only reads, and shows at most so many of each.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth.callers import caller_from_page
from accounts.policy import forbidden, may
from connections.explanations import EXPLANATIONS
from connections.keeper import leases
from connections.models import Connection, Keeper, Status
from dgxsite import health
from jobs.models import Job
from metrics.collectors.health import NOT_FOUND
from metrics.live import store as live_store

ACTION = "site.status"
MACHINES = 500
JOBS = 100


@dataclass(frozen=True, slots=True)
class Trouble:
    """A machine, and what is wrong with it: source or reason, and a sentence."""

    machine: Connection
    what: str
    detail: str


@login_required
@require_GET
def view(request: HttpRequest) -> HttpResponse:
    if not may(caller_from_page(request), ACTION):
        raise forbidden(ACTION)
    return render(request, "status.html", context())


def context() -> dict[str, Any]:
    """All that the page shows."""
    rows = list(Connection.objects.living().filter(is_active=True).select_related("team"))
    samples = live_store.latest_json([row.pk for row in rows])
    troubles = [one for row in rows for one in _of_machine(row, samples.get(row.pk))]
    return {
        "parts": [(name, state == health.OK, state) for name, state in health.ask_all().items()],
        "keepers": Keeper.objects.filter(leases.alive()).order_by("name"),
        "machine_count": len(rows),
        "troubles": troubles[:MACHINES],
        "trouble_count": len(troubles),
        "jobs": _jobs(),
        "now": timezone.now(),
    }


def _of_machine(row: Connection, sample: bytes | None) -> list[Trouble]:
    """Why it is not simply connected; else what its sample says of its own sources."""
    if row.status != Status.CONNECTED or row.reason:
        known = EXPLANATIONS.get(row.reason)
        short = known.short if known else row.get_status_display()
        return [Trouble(row, short, row.detail)] if row.reason else []
    entries = orjson.loads(sample)["health"] if sample is not None else []
    return [
        Trouble(row, entry["source"], entry["detail"] or "")
        for entry in entries
        if not entry["ok"] and entry["detail"] != NOT_FOUND
    ]


def _jobs() -> list[tuple[Job, str]]:
    """Those whose log could not be read whole, the newest first."""
    rows = Job.objects.living().filter(metrics__has_key="scalars_note")
    rows = rows.select_related("project", "connection").order_by("-created_at")
    return [(row, str(row.metrics["scalars_note"])) for row in rows[:JOBS]]
