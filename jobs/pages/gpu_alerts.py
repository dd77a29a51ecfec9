"""“Notify me when this GPU is free”, as a button that works without JavaScript."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts.auth.callers import caller_from_page
from core.errors import Conflict
from core.numbers import whole
from jobs.queue import gpu_alerts

# As in the API's grammar.
_LARGEST = 1023


@login_required
@require_POST
def change_alert(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """`gpu=` a number, or empty for any; `step=withdraw` cancels the alert."""
    caller = caller_from_page(request)
    text = request.POST.get("gpu", "")
    gpu = whole(text, _LARGEST)
    which = "any GPU" if gpu is None else f"GPU {gpu}"
    if text and gpu is None:
        messages.error(request, "There is no such GPU.")
    elif request.POST.get("step") == "withdraw":
        gpu_alerts.cancel_alert(caller, connection_id, gpu)
        messages.success(request, f"You will not be told of {which}.")
    else:
        try:
            gpu_alerts.create_alert(caller, connection_id, gpu)
            messages.success(request, f"You will be told once when {which} is free.")
        except Conflict as error:
            messages.error(request, error.detail)
    return redirect(_back(request, connection_id))


@login_required
@require_POST
def redirect_gpu_wish(request: HttpRequest, connection_id: UUID) -> HttpResponseBase:
    """The path of before; the method and the form stay."""
    gpu_alerts.own_alerts(caller_from_page(request), connection_id)
    path = reverse("machine_gpu_alert", args=[connection_id])
    return HttpResponsePermanentRedirect(path, preserve_request=True)


def _back(request: HttpRequest, connection_id: UUID) -> str:
    """Where the button stood, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, None)
    return wanted if is_ours else f"{reverse('machine', args=[connection_id])}?tab=metrics"
