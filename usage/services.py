"""What people ask the ledger: called alike by the API and the pages."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.policy import Caller
from connections import services as connections
from core.pagination import Page
from core.times import iso
from metrics.history import query as history_query
from metrics.history.query import Span
from usage import idle, serializers
from usage.models import UsageSettings
from usage.report import Scope, report, scope

DEFAULT_RANGE = "7d"
RANGES = ("24h", "7d", "30d", "12m")


def span_of(
    range_: str | None, start: datetime | None, end: datetime | None, now: datetime
) -> Span:
    """The asked span, seven days if nothing is asked; raises `Invalid`."""
    if start is None and end is None:
        range_ = range_ or DEFAULT_RANGE
    return history_query.window(range_, start, end, now)


def visible(caller: Caller, narrowed: Q | None = None) -> Scope:
    """The machines whose usage the caller may see."""
    return scope(connections.visible(caller).filter(narrowed or Q()))


def usage_dict(machines: Scope, span: Span, group_by: str, page: Page) -> dict[str, Any]:
    """The list answer of the API."""
    found, prices = report(machines, span, group_by, page), UsageSettings.load()
    price = prices.price_per_kwh
    return {
        "start": iso(span.start),
        "end": iso(span.end),
        "group_by": group_by,
        "currency": prices.currency or None,
        "price_per_kwh": None if price is None else float(price),
        "total": serializers.numbers(found.total, prices),
        "items": [serializers.line_dict(line, machines, prices) for line in found.lines],
        "count": found.count,
    }


def idle_dict(machines: Scope, span: Span, page: Page, *, only_now: bool) -> dict[str, Any]:
    """The list answer of the API about idle holders."""
    now = timezone.now()
    found = idle.holders(machines, span, now, page, only_now=only_now)
    return {
        "start": iso(span.start),
        "end": iso(span.end),
        "items": [serializers.holder_dict(item, machines, now) for item in found.items],
        "count": found.count,
    }
