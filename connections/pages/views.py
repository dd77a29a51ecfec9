"""Pages and form posts about machines: each calls one service and shows what came of it.

Every post works without JavaScript (it redirects) and with htmx (it answers a toast or fragment).
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event
from pydantic import ValidationError

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller, forbidden
from connections import inputs as connections_inputs
from connections import services, visits
from connections.models import Connection
from connections.pages import context as pages_context
from connections.pages.forms import ConnectionForm
from connections.schemas import HostKeyIn
from core import soft_delete
from core.errors import Forbidden, Invalid, NotFound, SiteError


@login_required
@require_GET
def trash(request: HttpRequest) -> HttpResponse:
    """The machines that were deleted in the last 30 days, each with its way back."""
    rows = services.trash(caller_from_page(request))
    context = {"lines": soft_delete.last_days(rows), "days": soft_delete.PERIOD.days}
    return render(request, "connections/trash.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponseBase:
    """The form for a new machine; afterwards its page, where it connects."""
    caller = caller_from_page(request)
    if not pages_context.may_add(caller.user):
        raise forbidden("connection.create")
    form = _bound(request, caller)
    if request.method == "POST" and (fields := form.api_fields()) is not None:
        try:
            row = services.create(caller, fields)
        except SiteError as error:
            form.take(error)
        else:
            return _go(request, _page(row))
    return _form_page(request, form)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """The same form for a machine that is there; secrets are never shown."""
    caller = caller_from_page(request)
    row = services.find(caller, connection_id, "connection.change")
    form = _bound(request, caller, row)
    if request.method == "POST" and (fields := form.api_fields()) is not None:
        try:
            services.change(caller, connection_id, fields)
        except SiteError as error:
            form.take(error)
        else:
            return _go(request, _page(row))
    return _form_page(request, form)


@login_required
@require_POST
def connect(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    return _act(request, connection_id, services.connect)


@login_required
@require_POST
def disconnect(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    return _act(request, connection_id, services.disconnect)


@login_required
@require_POST
def accept_host_key(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """Accept exactly the fingerprint that the person was shown, then connect."""

    def accept(caller: Caller, row_id: UUID) -> Connection:
        sent = _host_key(request)
        services.accept_host_key(caller, row_id, sent.fingerprint, sent.password)
        return services.connect(caller, row_id)

    return _act(request, connection_id, accept)


@login_required
@require_POST
def delete(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """Into the trash; the overview offers to undo it."""
    caller = caller_from_page(request)
    try:
        services.delete(caller, connection_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
        return redirect(_address(connection_id))
    return redirect(f"{reverse('overview')}?deleted={connection_id}")


@login_required
@require_POST
def restore(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """Out of the trash again, and connected if it connects by itself."""
    caller = caller_from_page(request)
    try:
        row = services.restore(caller, connection_id)
        if row.auto_connect:
            services.connect(caller, connection_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
        return redirect("overview")
    messages.success(request, f"{row.name} is back.")
    return redirect(_address(connection_id))


@login_required
@require_POST
def test_stored(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """The steps of a test with the stored credentials."""
    caller = caller_from_page(request)
    context: dict[str, Any]
    try:
        row = services.find(caller, connection_id, "connection.test")
        context = {"outcome": visits.test(caller, row)}
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        context = {"problem": error.detail}
    if request.headers.get("HX-Request") == "true":
        return render(request, "connections/_steps.html", context)
    row = services.find(caller, connection_id)
    context |= pages_context.machine_context(caller.user, row) | pages_context.connection_tab(row)
    context["tab"] = "connection"
    return render(request, "connections/machine_connection.html", context)


@login_required
@require_POST
def test_draft(request: HttpRequest) -> HttpResponseBase:
    """The steps of a test with what stands in the form; nothing is stored."""
    caller = caller_from_page(request)
    if not pages_context.may_add(caller.user):
        raise forbidden("connection.create")
    form = _bound(request, caller)
    context: dict[str, Any] = {}
    if (fields := form.api_fields()) is not None:
        try:
            row = connections_inputs.new(caller, fields)
            context["outcome"] = visits.test(caller, row)
        except SiteError as error:
            form.take(error)
    if form.errors:
        return _form_page(request, form)
    if request.headers.get("HX-Request") == "true":
        return render(request, "connections/_form_outcome.html", {"form": form, **context})
    return render(request, "connections/form.html", {"form": form, **context})


def _host_key(request: HttpRequest) -> HostKeyIn:
    """What the form sent, by the API's grammar; `Invalid` otherwise."""
    names = ("fingerprint", "password")
    try:
        return HostKeyIn.model_validate({name: request.POST.get(name, "") for name in names})
    except ValidationError as error:
        raise Invalid("This is no fingerprint, or no password.") from error


def _bound(request: HttpRequest, caller: Caller, row: Connection | None = None) -> ConnectionForm:
    if request.method != "POST":
        return ConnectionForm(caller.user, row)
    return ConnectionForm(caller.user, row, request.POST, request.FILES)


def _form_page(request: HttpRequest, form: ConnectionForm) -> HttpResponse:
    """The form, or for htmx its errors alone, so that typed secrets stay in the browser."""
    status = 422 if form.is_bound and form.errors else 200
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "connections/_form_outcome.html" if is_fragment else "connections/form.html"
    return render(request, name, {"form": form, "connection": form.row}, status=status)


def _act(request: HttpRequest, connection_id: UUID, service: Any) -> HttpResponseBase:
    """Call a service that answers a row; htmx gets the new state as an event."""
    is_htmx = request.headers.get("HX-Request") == "true"
    try:
        row = service(caller_from_page(request), connection_id)
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        if not is_htmx:
            messages.error(request, error.detail)
            return redirect(_address(connection_id))
        toast = {"level": "error", "text": error.detail}
        return trigger_client_event(HttpResponse(status=204), "toast", toast)
    if not is_htmx:
        return redirect(_page(row))
    wish = {"id": str(row.pk), "is_active": row.is_active}
    return trigger_client_event(HttpResponse(status=204), "wish", wish)


def _go(request: HttpRequest, address: str) -> HttpResponseBase:
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(address)
    return redirect(address)


def _page(row: Connection) -> str:
    return _address(row.pk)


def _address(connection_id: UUID) -> str:
    return f"{reverse('machine', args=[connection_id])}?tab=connection"
