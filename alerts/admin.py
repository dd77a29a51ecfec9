"""Alert rules in Django's admin, checked as everywhere; alerts are only looked at."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from accounts import audit
from accounts.admin import Audited, ReadOnly
from accounts.auth.callers import caller_from_page
from accounts.back_office import OfTeams
from alerts import inputs, services
from alerts.models import Alert, AlertRule
from alerts.quantities import QUANTITIES
from core.errors import SiteError

_METRICS = [(one.name, one.title) for one in QUANTITIES.values()]


class RuleAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    metric = forms.ChoiceField(choices=_METRICS)
    and_metric = forms.ChoiceField(choices=[("", "–"), *_METRICS], required=False)

    class Meta:
        model = AlertRule
        fields = (
            "team",
            "name",
            "enabled",
            "metric",
            "comparison",
            "threshold",
            "and_metric",
            "and_comparison",
            "and_threshold",
            "for_seconds",
            "clear_margin",
            "connection",
            "tag",
            "gpu",
            "channels",
            "snoozed_until",
        )

    def _post_clean(self) -> None:
        """What fits together is asked when the row has its values."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            inputs.check(self.instance)
        except SiteError as error:
            for found in error.errors:
                place = found.field if found.field in self.fields else None
                self.add_error(place, found.message)


@admin.register(AlertRule)
class RuleAdmin(Audited, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    audit_name = "alert_rule"
    team_path = "team"
    change_action = services.CHANGE
    form = RuleAdminForm
    list_display = ("name", "team", "metric", "comparison", "threshold", "enabled", "deleted_at")
    list_filter = ("enabled", "metric")
    list_select_related = ("team",)
    search_fields = ("name",)
    autocomplete_fields = ("team",)

    def may_write(self, request: HttpRequest, obj: Any) -> bool:
        """One's own rule, or any of a team that one administers; a new one is one's own."""
        if obj._state.adding:
            return super().may_write(request, obj)
        return services.may_change(caller_from_page(request), obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A changed rule begins anew, as it does by the API."""
        if change:
            audit.take_turn()  # before the row is locked, as everywhere
            services.begin_anew(obj)
        else:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)


@admin.register(Alert)
class AlertAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "team"
    list_display = ("rule", "connection", "gpu", "state", "value", "started_at", "resolved_at")
    list_filter = ("state",)
    list_select_related = ("rule", "connection")
    date_hierarchy = "started_at"
