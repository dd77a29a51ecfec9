"""The pages of alerts and rules; every post redirects, and works without JavaScript."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.auth.callers import caller_from_page
from accounts.policy import Caller, forbidden
from accounts.teams import current_team
from alerts import board, inputs, preview, services
from alerts.forms import RuleForm
from alerts.models import AlertRule
from alerts.suggestions import BY_KEY
from connections import services as machines
from core import soft_delete
from core.errors import Forbidden, Invalid, NotFound, SiteError
from core.numbers import whole

RULES_PAGE, HISTORY_PAGE = 50, 30
# Hours that a rule can be snoozed for; 0 ends it.
SNOOZES = ((1, "1 hour"), (4, "4 hours"), (24, "1 day"), (168, "7 days"), (0, "not any more"))
# As long as the link with `?deleted=` is fresh; the trash keeps the rule for longer.


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """What fires, the rules, and what was; htmx gets what fires alone."""
    caller = caller_from_page(request)
    narrowed = current_team.narrowed(request)
    context: dict[str, Any] = {"active": board.active(caller, narrowed)}
    if request.headers.get("HX-Request") == "true":
        return render(request, "alerts/_active.html", context)
    rules = Paginator(board.rules(caller, narrowed), RULES_PAGE).get_page(request.GET.get("rules"))
    past_rule = _asked_rule(caller, request)
    of_rule = Q(rule=past_rule) if past_rule else Q()
    past = Paginator(board.past(caller, narrowed & of_rule), HISTORY_PAGE).get_page(
        request.GET.get("page")
    )
    writes_for = list(inputs.teams_to_write_for(caller))
    context |= {
        "rules": rules,
        "rule_lines": board.rule_lines(caller, list(rules.object_list)),
        "past": past,
        "past_rule": past_rule,
        "past_lines": board.lines_of(past.object_list),
        "suggestions": board.suggestions(caller, narrowed) if writes_for else [],
        "writes_for": writes_for,
        "deleted": board.restorable(caller) if writes_for else [],
        "trash_days": soft_delete.PERIOD.days,
        "snoozes": SNOOZES,
        "undo_rule": _undo(caller, request.GET.get("deleted", "")),
    }
    return render(request, "alerts/index.html", context)


@login_required
@require_GET
def of_machine(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """What fires on one machine, as a part of its page."""
    caller = caller_from_page(request)
    row = machines.find(caller, connection_id)
    return render(request, "alerts/_machine.html", board.machine_context(caller, row.pk))


@login_required
@require_http_methods(["GET", "POST"])
def add_rule(request: HttpRequest) -> HttpResponse:
    caller = caller_from_page(request)
    if not inputs.teams_to_write_for(caller).exists():
        raise forbidden("alert_rule.create")
    form = RuleForm(caller, None, request.POST or None)
    return _form_page(request, form, lambda fields: services.create(caller, fields))


@login_required
@require_http_methods(["GET", "POST"])
def edit_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    caller = caller_from_page(request)
    rule = services.find_rule(caller, rule_id, services.CHANGE)
    form = RuleForm(caller, rule, request.POST or None)
    return _form_page(request, form, lambda fields: services.change(caller, rule_id, fields))


@login_required
@require_POST
def preview_rule(request: HttpRequest) -> HttpResponse:
    """What the rule in the form would have brought; without htmx the whole form again."""
    caller = caller_from_page(request)
    if not inputs.teams_to_write_for(caller).exists():
        raise forbidden("alert_rule.create")
    form = RuleForm(caller, None, request.POST)
    context: dict[str, Any] = {"form": form}
    fields = form.api_fields()
    if fields is not None:
        try:
            context["preview"] = preview.of(caller, inputs.new(caller, fields)[0])
        except (Forbidden, NotFound):
            raise
        except SiteError as error:
            form.take(error)
    is_fragment = request.headers.get("HX-Request") == "true"
    name = "alerts/_preview.html" if is_fragment else "alerts/rule.html"
    return render(request, name, context, status=422 if form.errors else 200)


@login_required
@require_POST
def enable_suggestion(request: HttpRequest) -> HttpResponse:
    """Make one of the suggested rules, for the team that is looked at or the oldest."""
    caller = caller_from_page(request)
    teams = list(inputs.teams_to_write_for(caller))
    if not teams:
        raise forbidden("alert_rule.create")
    suggestion = BY_KEY.get(request.POST.get("key", ""))
    if suggestion is None:
        messages.error(request, "There is no such suggestion.")
        return redirect("alerts")
    chosen = current_team.chosen(request)
    team = chosen if chosen in teams else teams[0]
    fields = suggestion.fields | {"name": suggestion.name, "team_id": team.pk}
    services.create(caller, fields)
    messages.success(request, f"“{suggestion.name}” watches the machines of {team}.")
    return redirect("alerts")


@login_required
@require_POST
def snooze_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    text = request.POST.get("hours", "")
    hours = whole(text, 9999)
    until = timezone.now() + timedelta(hours=hours) if hours else None

    def act(caller: Caller) -> str:
        services.find_rule(caller, rule_id, services.CHANGE)
        if hours is None:
            raise Invalid("Say for how many hours.")
        rule = services.snooze(caller, rule_id, until)
        return f"“{rule}” is silent for now." if until else f"“{rule}” rings again."

    return _act(request, act)


@login_required
@require_POST
def switch_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """On or off."""
    enabled = request.POST.get("enabled") == "1"

    def act(caller: Caller) -> str:
        rule = services.change(caller, rule_id, {"enabled": enabled})
        return f"“{rule}” watches." if enabled else f"“{rule}” is off."

    return _act(request, act)


@login_required
@require_POST
def delete_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """Into the trash; the page offers to undo it."""
    services.delete(caller_from_page(request), rule_id)
    return redirect(f"{reverse('alerts')}?deleted={rule_id}")


@login_required
@require_POST
def restore_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    return _act(request, lambda caller: f"“{services.restore(caller, rule_id)}” is back.")


@login_required
@require_POST
def acknowledge(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """It is not told again; htmx gets what fires, as it now is."""
    caller = caller_from_page(request)
    services.acknowledge(caller, alert_id)
    if request.headers.get("HX-Request") == "true":
        active = board.active(caller, current_team.narrowed(request))
        return render(request, "alerts/_active.html", {"active": active})
    messages.success(request, "Acknowledged: it is not told again.")
    return redirect("alerts")


def _act(request: HttpRequest, act: Callable[[Caller], str]) -> HttpResponse:
    """Do it and say what came of it on the Alerts page."""
    try:
        messages.success(request, act(caller_from_page(request)))
    except (Forbidden, NotFound):
        raise
    except SiteError as error:
        messages.error(request, error.detail)
    return redirect("alerts")


def _form_page(
    request: HttpRequest, form: RuleForm, save: Callable[[inputs.Fields], AlertRule]
) -> HttpResponse:
    if request.method == "POST" and (fields := form.api_fields()) is not None:
        try:
            rule = save(fields)
        except (Forbidden, NotFound):
            raise
        except SiteError as error:
            form.take(error)
        else:
            messages.success(request, f"“{rule}” watches.")
            return redirect("alerts")
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "alerts/rule.html", {"form": form, "rule": form.rule}, status=status)


def _asked_rule(caller: Caller, request: HttpRequest) -> AlertRule | None:
    """The rule whose history is asked for, if there is one."""
    try:
        wanted = UUID(request.GET.get("rule", ""))
    except ValueError:
        return None
    return services.rules(caller).filter(pk=wanted).first()


def _undo(caller: Caller, text: str) -> AlertRule | None:
    """The rule that `?deleted=` names, if it is fresh and the person may bring it back."""
    rule = services.in_trash(caller).just_deleted(text)
    return rule if rule is not None and services.may_change(caller, rule) else None
