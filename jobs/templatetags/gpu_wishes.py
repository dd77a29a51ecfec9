"""“Tell me when it is free”, on the pages of the apps below and beside a job that waits."""

from typing import Any

from django import template
from django.http import HttpRequest

from accounts.auth.callers import caller_from_page
from connections.models import Connection
from jobs.models import GpuWish, Job

register = template.Library()


@register.inclusion_tag("jobs/_wish.html", takes_context=True)
def gpu_wish(context: Any, gpu: int) -> dict[str, Any]:
    """The button for one GPU of the page's machine."""
    return _button(context["request"], context["connection"], gpu)


@register.inclusion_tag("jobs/_wish.html", takes_context=True)
def gpu_wish_of(context: Any, job: Job) -> dict[str, Any]:
    """The button beside a waiting job: for the one GPU that it names, else for any."""
    named = job.gpus if isinstance(job.gpus, list) else []
    gpu = named[0] if len(named) == 1 and isinstance(named[0], int) else None
    return _button(context["request"], job.connection, gpu)


def _button(request: HttpRequest, machine: Connection, gpu: int | None) -> dict[str, Any]:
    found = gpu in _wished(request, machine)
    return {"request": request, "connection": machine, "gpu": gpu, "is_wished": found}


def _wished(request: Any, machine: Connection) -> set[int | None]:
    """The caller's own wishes on the machine, asked once for all GPUs of a page."""
    kept: dict[Any, set[int | None]] = request.__dict__.setdefault("_gpu_wishes", {})
    if machine.pk not in kept:
        user = caller_from_page(request).user
        rows = GpuWish.objects.filter(user_id=user.pk, connection=machine)
        kept[machine.pk] = set(rows.values_list("gpu", flat=True))
    return kept[machine.pk]
