"""The queue of a machine on its Jobs tab: paused, resumed, and its rules changed."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.auth.callers import caller_from_page
from connections import services as machines
from connections.pages.context import machine_context
from jobs import services
from jobs.models import MachineQueue
from jobs.pages.queue_form import QueueForm

_STEPS = {
    "pause": (True, "The queue is paused. What runs goes on."),
    "resume": (False, "The queue goes on."),
}


@login_required
@require_POST
def change(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """`step=pause` or `step=resume`, else the rules; a form with mistakes comes back as it was."""
    caller = caller_from_page(request)
    row = machines.find(caller, connection_id, "queue.change")
    if (step := request.POST.get("step", "")) in _STEPS:
        is_paused, said = _STEPS[step]
        services.change_queue(caller, connection_id, {"is_paused": is_paused})
    else:
        queue = services.queue_of(caller, connection_id)
        form = QueueForm(queue, request.POST)
        if not form.is_valid():
            page = machine_context(caller.user, row) | {"tab": "jobs"}
            page |= context(queue, form)
            return render(request, "jobs/queue.html", page, status=422)
        services.change_queue(caller, connection_id, form.api_fields)
        said = "The rules of the queue are saved."
    messages.success(request, said)
    return redirect("machine_jobs", connection_id)


def context(row: MachineQueue, form: QueueForm | None = None) -> dict[str, Any]:
    """What `jobs/_queue.html` needs."""
    return {"queue": row, "queue_form": form or QueueForm(row)}
