"""What the pages about jobs need to know, beside the rows themselves."""

import json
import shlex
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Count, QuerySet

from accounts.models import User
from accounts.policy import Caller, may
from connections.models import Connection
from core.formats import quantity
from jobs import command_preview, services, standing
from jobs.compare import load as compare_load
from jobs.hidden_values import shown_config, shown_environment
from jobs.log import first_error
from jobs.models import ACTIVE, WAITING, Job, Status
from jobs.pages import filters, origin_tab
from jobs.results.page import shown
from jobs.tracking import metric_order
from projects.models import Project

PAGE = 50
# More are reached by the address, from the page of the machine or the project.
_OFFERED = 200

# Key in the address, title.
COLUMNS = (
    ("status", "State"),
    ("name", "Job"),
    ("machine", "Machine"),
    ("started", "Duration"),
    ("made", "Made"),
)
_CHIPS = ("waiting", "active", "completed", "failed", "stopped", "lost")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the list and what this person may do with it."""

    job: Job
    may_operate: bool

    @property
    def seconds(self) -> float | None:
        return self.job.run_seconds

    @property
    def glance(self) -> str:
        """`63 % · loss 0.25`: how far it is while it runs, and the last value that counts most."""
        scalars = self.job.metrics.get("scalars") or {}
        percent = self.job.metrics.get("progress_percent")
        is_under_way = percent is not None and not self.job.is_final
        parts = [quantity(percent, "%")] if is_under_way else []
        parts += [f"{name} {shown(scalars[name])}" for name in metric_order.in_order(scalars)[:1]]
        return " · ".join(parts)


def listing(
    caller: Caller, rows: QuerySet[Job], choice: filters.Choice, number: str | None
) -> dict[str, Any]:
    """One page of `rows`, how many there are of each state, and what they may be narrowed to."""
    fitting = filters.narrowed(rows, choice)
    counts = Counter(dict(fitting.order_by().values_list("status").annotate(Count("pk"))))
    shown = filters.ordered(filters.of_status(fitting, choice), choice)
    shown = shown.select_related("project").defer("command", "environment_encrypted", "config")
    page = Paginator(shown, PAGE).get_page(number)
    operable = set(Connection.objects.operable_by(caller.user).values_list("pk", flat=True))
    lines = [Line(row, row.connection_id in operable) for row in page.object_list]
    return {
        "choice": choice,
        "columns": COLUMNS,
        "page": page,
        "lines": lines,
        "counts": [(name, sum(counts[one] for one in filters.GROUPS[name])) for name in _CHIPS],
        "total": sum(counts.values()),
        "goes_on": any(not line.job.is_final for line in lines),
        "may_add": bool(operable),
    }


def offers(caller: Caller, rows: QuerySet[Job]) -> dict[str, Any]:
    """The machines, projects and people to choose from in the filter."""
    machines = Connection.objects.visible_to(caller.user).order_by("name")
    projects = Project.objects.visible_to(caller.user).order_by("name")
    people = User.objects.filter(pk__in=rows.order_by().values("requested_by")).order_by("username")
    return {
        "machines": list(machines.values_list("pk", "name")[:_OFFERED]),
        "projects": list(projects.values_list("pk", "name")[:_OFFERED]),
        "people": list(people.values_list("username", flat=True)[:_OFFERED]),
    }


def example(address: str, projects: list[tuple[UUID, str]]) -> str:
    """A first job from a shell."""
    body = {"project_id": str(projects[0][0]) if projects else "…", "name": "first"}
    body |= {"command": "python train.py"}
    words = ["curl", address, "-H", "Authorization: Bearer TOKEN"]
    words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)


def job_context(caller: Caller, row: Job) -> dict[str, Any]:
    """The row and what this person may do with it."""
    return {
        "job": row,
        "connection": row.connection,
        "seconds": row.run_seconds,
        "may_operate": may(caller, "job.change", row.team),
        "is_waiting": row.status in WAITING,
        "is_active": row.status in ACTIVE,
        "is_pending": row.status == Status.PENDING,
        "may_take_over": _is_held(row),
    }


def _is_held(row: Job) -> bool:
    """Whether it waits because who asked for it may no longer."""
    is_queued = row.status == Status.QUEUED
    return is_queued and standing.standing_of([row]).objection(row) is not None


def overview_tab(row: Job) -> dict[str, Any]:
    """Its steps, why it failed, what ran, and the jobs it hangs together with."""
    return {
        "changes": list(row.changes.order_by("-id")[:50]),
        "quote": first_error.quote(row),
        "script": command_preview.script(row),
        "origin": origin_tab.of(row),
        "earlier": compare_load.earlier(row),
        "retries": list(row.retries.living().order_by("created_at")[:20]),
    }


def config_tab(row: Job) -> dict[str, Any]:
    """What it was given."""
    return {
        "environment": sorted(shown_environment(row).items()),
        "config_text": command_preview.config_text(shown_config(row)),
    }


def deleted_by(caller: Caller, text: str) -> Job | None:
    """The job that `?deleted=` names, if the person may bring it back and it is fresh."""
    return services.trash(caller).just_deleted(text)
