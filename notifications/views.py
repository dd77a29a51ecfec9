"""The pages of a person's notifications and of a team's channels; every post redirects."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.auth.callers import caller_from_page
from accounts.models import Membership, Role, User
from core.errors import Forbidden, NotFound, SiteError
from core.mail import sends_mail
from notifications import feed, preferences, services
from notifications.forms import ChannelForm, QuietHoursForm
from notifications.kinds import Way
from notifications.models import Channel, QuietHours

PAGE = 50
LOG_LINES = 20


@login_required
@require_GET
def notifications(request: HttpRequest) -> HttpResponse:
    """The person's list, newest first."""
    user = caller_from_page(request).user
    page = Paginator(feed.of(user.pk), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "unread": feed.unread(user.pk), "may_manage": may_manage(user)}
    return render(request, "notifications/list.html", context)


@login_required
@require_POST
def mark_read(request: HttpRequest) -> HttpResponse:
    """Everything."""
    feed.mark_read(caller_from_page(request).user.pk)
    return redirect("notifications")


@login_required
@require_POST
def open_one(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Mark one as read and go where it leads; the way there is one of ours."""
    user = caller_from_page(request).user
    row = get_object_or_404(feed.of(user.pk), event_id=event_id)
    feed.mark_read(user.pk, [event_id])
    return redirect(row.event.link or "notifications")


@login_required
@require_http_methods(["GET", "POST"])
def choices(request: HttpRequest) -> HttpResponse:
    """Which events reach the person by which way, and when it is quiet."""
    user = caller_from_page(request).user
    form = QuietHoursForm(request.POST or None, initial=_quiet(user))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            preferences.set_quiet_hours(user, data["starts"], data["ends"])
        except SiteError as error:
            form.take(error)
        else:
            preferences.choose(user, _wishes(request))
            messages.success(request, "Your choices are kept.")
            return redirect("notification_choices")
    context = {
        "form": form,
        "lines": preferences.lines(user),
        "sends_mail": sends_mail(),
        "may_manage": may_manage(user),
    }
    return render(request, "notifications/choices.html", context, status=_status(form))


@login_required
@sensitive_post_parameters("url", "secret")
@require_http_methods(["GET", "POST"])
def channels(request: HttpRequest) -> HttpResponse:
    """The channels that the person administers, and the form for another one."""
    caller = caller_from_page(request)
    rows = services.manageable(caller)
    form = ChannelForm(caller.user, None, request.POST or None)
    if request.method == "POST" and form.is_valid():
        fields = form.api_fields()
        try:
            row = services.draft(caller, fields)
            made = services.add(caller, row, fields["events"])
        except (Forbidden, NotFound):
            raise
        except SiteError as error:
            form.take(error)
        else:
            if made is not None:
                return _channels_page(request, rows, ChannelForm(caller.user, None), (row, made))
            messages.success(request, f"The channel {row.name} is there. Test it once.")
            return redirect("channels")
    return _channels_page(request, rows, form)


@login_required
@sensitive_post_parameters("url", "secret")
@require_http_methods(["GET", "POST"])
def channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """One channel: its form and what was sent through it."""
    caller = caller_from_page(request)
    row = services.find(caller, channel_id)
    form = ChannelForm(caller.user, row, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.change(caller, channel_id, form.api_fields())
        except (Forbidden, NotFound):
            raise
        except SiteError as error:
            form.take(error)
        else:
            messages.success(request, "The channel is changed.")
            return redirect("channel", channel_id)
    log = services.log_of(caller, channel_id).select_related("event")[:LOG_LINES]
    context = {"channel": row, "form": form, "log": log}
    return render(request, "notifications/channel.html", context, status=_status(form))


@login_required
@require_POST
def test_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Send one message now; what came of it is told on the channel's page."""
    caller = caller_from_page(request)
    try:
        outcome = services.test(caller, channel_id)
    except (Forbidden, NotFound):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
    else:
        tell = messages.success if outcome.ok else messages.error
        tell(request, f"It was delivered. {outcome.detail}" if outcome.ok else outcome.detail)
    return redirect("channel", channel_id)


@login_required
@require_POST
def delete_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    services.delete(caller_from_page(request), channel_id)
    messages.success(request, "The channel is deleted.")
    return redirect("channels")


def may_manage(user: User) -> bool:
    """Whether there is a team whose channels this person may manage."""
    administers = Membership.objects.filter(user=user, role=Role.ADMINISTRATOR)
    return user.is_superuser or administers.exists()


def _channels_page(
    request: HttpRequest, rows: Any, form: ChannelForm, made: tuple[Channel, str] | None = None
) -> HttpResponse:
    context = {"channels": rows, "form": form, "made": made}
    return render(request, "notifications/channels.html", context, status=_status(form))


def _status(form: ChannelForm | QuietHoursForm) -> int:
    return 422 if form.errors else 200


def _quiet(user: User) -> dict[str, Any]:
    hours = QuietHours.objects.filter(user=user).first()
    if hours is None:
        return {}
    return {"starts": hours.starts, "ends": hours.ends}


def _wishes(request: HttpRequest) -> dict[tuple[str, Way], bool]:
    """A box that is not ticked is not sent: what is not there is not wanted."""
    ticked = set(request.POST.getlist("wish"))
    return {
        (line.kind.name, way): f"{line.kind.name}.{way}" in ticked
        for line in preferences.lines(caller_from_page(request).user)
        for way in preferences.PERSONAL
    }
