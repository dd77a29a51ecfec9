"""The page "Usage", and the same lines as a file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth.callers import caller_from_page
from accounts.teams import current_team
from core import spreadsheet, times
from core.errors import Invalid
from core.numbers import whole
from core.pagination import LARGEST_OFFSET, Page
from metrics.history.query import Span
from usage import download, idle, lines, services
from usage.grouping import GROUPINGS
from usage.models import UsageSettings
from usage.report import Scope, report

PAGE = 50
_LAST_PAGE = LARGEST_OFFSET // PAGE
IDLE_SHOWN = 20
DEFAULT_GROUP = "user"
_RANGES = (
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("12m", "12 months"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the address asks for; what is not understood is the default. `range` "" is a span."""

    range: str
    group_by: str
    page: int
    span: Span

    @classmethod
    def read(cls, query: QueryDict, now: datetime) -> "Choice":
        group = query.get("by", "")
        range_, span = _span(query, now)
        return cls(
            range=range_,
            group_by=group if group in GROUPINGS else DEFAULT_GROUP,
            page=whole(query.get("page", ""), _LAST_PAGE) or 1,
            span=span,
        )


def _span(query: QueryDict, now: datetime) -> tuple[str, Span]:
    start, end = _moment(query.get("start", "")), _moment(query.get("end", ""))
    if start is not None:
        try:
            return "", services.span_of(None, start, end, now)
        except Invalid:
            pass
    wanted = query.get("range", "")
    name = wanted if wanted in services.RANGES else services.DEFAULT_RANGE
    return name, services.span_of(name, None, None, now)


def _moment(text: str) -> datetime | None:
    try:
        return times.read(text)
    except ValueError:
        return None


@login_required
@require_GET
def usage_page(request: HttpRequest) -> HttpResponse:
    """Totals, lines by the chosen grouping, and who holds memory idly."""
    now = timezone.now()
    choice = Choice.read(request.GET, now)
    machines = _machines(request)
    return render(request, "usage/usage.html", _context(choice, machines, now))


@login_required
@require_GET
def usage_csv(request: HttpRequest) -> HttpResponse:
    """All lines of the chosen span and grouping as CSV."""
    choice = Choice.read(request.GET, timezone.now())
    machines, prices = _machines(request), UsageSettings.load()
    found = report(machines, choice.span, choice.group_by, None).lines
    rows = (download.row(line, machines, prices) for line in found)
    text = "".join(spreadsheet.lines(download.header(), rows))
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    name = f"dgxsite-usage-by-{choice.group_by}-{choice.span.end:%Y-%m-%d}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _machines(request: HttpRequest) -> Scope:
    return services.visible(caller_from_page(request), current_team.narrowed(request))


def _context(choice: Choice, machines: Scope, now: datetime) -> dict[str, Any]:
    part = Page(limit=PAGE, offset=(choice.page - 1) * PAGE)
    found, prices = report(machines, choice.span, choice.group_by, part), UsageSettings.load()
    idlers = idle.holders(machines, choice.span, now, Page(limit=IDLE_SHOWN))
    return {
        "choice": choice,
        "ranges": _RANGES,
        "groupings": GROUPINGS.items(),
        "grouping": GROUPINGS[choice.group_by],
        "prices": prices,
        "total": found.total,
        "total_hours": lines.hours(found.total.share_seconds),
        "total_busy": lines.hours(found.total.busy_seconds),
        "total_energy": lines.energy(found.total),
        "total_cost": lines.money(found.total, prices),
        "percent_of_time": lines.percent_of_time(found.total),
        "rows": lines.rows(found.lines, machines, prices),
        "page": Paginator(range(found.count), PAGE).get_page(choice.page),
        "idlers": idlers,
        "idle_rows": [(item, machines[item.machine]) for item in idlers.items],
        "now": now,
    }
