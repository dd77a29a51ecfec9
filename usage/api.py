"""Who used which GPU over the REST API."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router

from accounts.auth.callers import caller_of
from core.pagination import Page
from usage import schemas, services

router = Router(tags=["usage"])


@router.get("/usage", response=schemas.UsageList)
def list_usage(
    request: HttpRequest, page: Query[Page], asked: Query[schemas.UsageQuery]
) -> dict[str, Any]:
    """GPU time, energy and cost on the machines the caller sees, by user, machine, GPU or time."""
    machines = services.visible(caller_of(request))
    span = services.span_of(asked.range, asked.start, asked.end, timezone.now())
    return services.usage_dict(machines, span, asked.group_by, page)


@router.get("/usage/idle", response=schemas.IdleList)
def list_idle(
    request: HttpRequest, page: Query[Page], asked: Query[schemas.IdleQuery]
) -> dict[str, Any]:
    """Who holds GPU memory without using it, now or within the span, longest first."""
    machines = services.visible(caller_of(request))
    span = services.span_of(asked.range, asked.start, asked.end, timezone.now())
    return services.idle_dict(machines, span, page, only_now=asked.now)
