"""What a press of a button does to a job: each post calls one service and says what came of it.

Without JavaScript it redirects back to where the button stood; with htmx it answers a toast, and
the page asks for the new state itself.
"""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller
from core.errors import Forbidden, NotFound, SiteError
from jobs import services
from jobs.models import Job

Service = Callable[[Caller, UUID], Job]


@login_required
@require_POST
def start(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    return _act(request, job_id, services.start, "{} is in the queue.")


@login_required
@require_POST
def stop(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """The wish; what runs ends when its machine says so."""
    return _act(request, job_id, services.stop, "Stopping {}.")


@login_required
@require_POST
def relaunch(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """A new job with the same inputs, and its page."""
    try:
        row = services.retry(caller_from_page(request), job_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        return _refused(request, job_id, error)
    messages.success(request, f"{row.name} is in the queue again.")
    address = reverse("job", args=[row.pk])
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(address)
    return redirect(address)


@login_required
@require_POST
def delete(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Into the trash; the list offers to undo it."""
    try:
        services.delete(caller_from_page(request), job_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        return _refused(request, job_id, error)
    return redirect(f"{reverse('jobs')}?deleted={job_id}")


@login_required
@require_POST
def restore(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Out of the trash again."""
    row = services.restore(caller_from_page(request), job_id)
    messages.success(request, f"{row.name} is back.")
    return redirect("job", job_id)


def _act(request: HttpRequest, job_id: UUID, service: Service, text: str) -> HttpResponseBase:
    try:
        row = service(caller_from_page(request), job_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        return _refused(request, job_id, error)
    if request.headers.get("HX-Request") == "true":
        return _toast(text.format(row.name), "info")
    messages.success(request, text.format(row.name))
    return redirect(_back(request, job_id))


def _refused(request: HttpRequest, job_id: UUID, error: SiteError) -> HttpResponseBase:
    if request.headers.get("HX-Request") == "true":
        return _toast(error.detail, "error")
    messages.error(request, error.detail)
    return redirect(_back(request, job_id))


def _toast(text: str, level: str) -> HttpResponse:
    return trigger_client_event(HttpResponse(status=204), "toast", {"text": text, "level": level})


def _back(request: HttpRequest, job_id: UUID) -> str:
    """Where the button stood, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, None)
    return wanted if is_ours else reverse("job", args=[job_id])
