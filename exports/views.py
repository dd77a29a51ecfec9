"""The page of the exports and its posts: each calls one service and comes back to the page."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller
from connections.models import Connection
from core import soft_delete
from core.errors import Conflict, Forbidden, NotFound, SiteError
from exports import claiming, schedules, services
from exports.forms import ScheduleForm
from exports.models import UNFINISHED, Export, State

PAGE = 25
SHOWS = ("files", "schedules", "trash")


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """`?show=files|schedules|trash`, `?machine=` and `?page=`; htmx gets the list alone."""
    caller = caller_from_page(request)
    return _page(request, caller, ScheduleForm(caller.user, initial=_chosen(request)))


@login_required
@require_POST
def make_dual(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """The dual export of a page without JavaScript: a worker makes it, this page shows it."""

    def make(caller: Caller) -> None:
        services.queue(caller, services.draft(caller, connection_id))

    return _act(request, make, "It is being made.")


@login_required
@require_POST
def cancel(request: HttpRequest, export_id: UUID) -> HttpResponse:
    return _act(request, lambda caller: services.cancel(caller, export_id), "It is being stopped.")


@login_required
@require_POST
def repeat(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """The same again with the data of now."""
    said = "It is made again with the data of now."
    return _act(request, lambda caller: services.repeat(caller, export_id), said)


@login_required
@require_POST
def delete(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """Into the trash; the page offers to undo it."""
    try:
        services.delete(caller_from_page(request), export_id)
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("exports")
    return _undoable("deleted", export_id)


@login_required
@require_POST
def restore(request: HttpRequest, export_id: UUID) -> HttpResponse:
    return _act(request, lambda caller: services.restore(caller, export_id), "The export is back.")


@login_required
@require_POST
def add_schedule(request: HttpRequest) -> HttpResponse:
    """A new schedule; errors stand in the form."""
    caller = caller_from_page(request)
    form = ScheduleForm(caller.user, request.POST)
    if form.is_valid():
        try:
            schedules.create(caller, **form.fields_for_service())
        except (NotFound, Forbidden):
            raise
        except SiteError as error:
            field = error.errors[0].field if error.errors else None
            form.add_error(field if field in form.fields else None, error.detail)
        else:
            messages.success(request, "The schedule is set.")
            return redirect(f"{reverse('exports')}?show=schedules")
    return _page(request, caller, form, show="schedules", status=422)


@login_required
@require_POST
def delete_schedule(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Stop it; the page offers to undo that."""
    schedules.delete(caller_from_page(request), schedule_id)
    return _undoable("stopped", schedule_id, show="schedules")


@login_required
@require_POST
def restore_schedule(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    try:
        schedules.restore(caller_from_page(request), schedule_id)
    except Conflict as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "The schedule goes on.")
    return redirect(f"{reverse('exports')}?show=schedules")


def _page(
    request: HttpRequest,
    caller: Caller,
    form: ScheduleForm,
    *,
    show: str = "",
    status: int = 200,
) -> HttpResponse:
    show = show or request.GET.get("show", "")
    show = show if show in SHOWS else SHOWS[0]
    rows = _narrowed(_LISTS[show](caller), request)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    operable = Connection.objects.operable_by(caller.user)
    context = {
        "show": show,
        "page": page,
        "machines": Connection.objects.visible_to(caller.user).order_by("name"),
        "machine": request.GET.get("machine", ""),
        "operable": set(operable.values_list("pk", flat=True)),
        "asked": _asked(page) if show == "files" else (),
        "is_moving": show == "files" and any(row.state in UNFINISHED for row in page),
        "form": form,
        "days": soft_delete.PERIOD.days,
        "now": timezone.now(),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
        "undo_export": services.in_trash(caller).just_deleted(request.GET.get("deleted", "")),
        "undo_schedule": schedules.in_trash(caller).just_deleted(request.GET.get("stopped", "")),
    }
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "exports/_list.html" if is_fragment else "exports/index.html"
    return render(request, name, context, status=status)


_LISTS: dict[str, Callable[[Caller], QuerySet[Any]]] = {
    "files": services.visible,
    "schedules": schedules.visible,
    "trash": services.in_trash,
}


def _asked(exports: Iterable[Export]) -> set[UUID]:
    """The machines that exports of this page wait for, because another export asks them."""
    machines = {row.connection_id for row in exports if row.state == State.WAITING}
    if not machines:
        return set()
    rows = claiming.asking().filter(connection__in=machines)
    return set(rows.values_list("connection_id", flat=True))


def _narrowed(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Of one machine, if the address names one."""
    wanted = _uuid(request.GET.get("machine", ""))
    return rows.filter(connection_id=wanted) if wanted else rows


def _chosen(request: HttpRequest) -> dict[str, str]:
    return {"machine": request.GET.get("machine", "")}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _act(request: HttpRequest, service: Callable[[Caller], object], said: str) -> HttpResponse:
    try:
        service(caller_from_page(request))
    except (NotFound, Forbidden):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, said)
    return redirect("exports")


def _undoable(name: str, row_id: UUID, **query: str) -> HttpResponse:
    return redirect(f"{reverse('exports')}?{urlencode(query | {name: str(row_id)})}")
