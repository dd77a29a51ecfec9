"""Channels, events and deliveries in Django's admin.

Channels are changed by the same services as everywhere; address and secret are written here and
never shown. Events and deliveries are only looked at.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import ReadOnly
from accounts.auth.callers import caller_from_page
from accounts.back_office import OfTeams
from accounts.models import Role
from accounts.policy import Caller
from core.errors import SiteError
from notifications import services
from notifications.models import Channel, Delivery, Event


class ChannelAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """`caller` is set by the admin for the person who fills it in."""

    caller: Caller

    url = forms.CharField(required=False, help_text="Write to replace the stored one.")
    secret = forms.CharField(
        required=False, widget=forms.PasswordInput, help_text="Write to replace the stored one."
    )

    class Meta:
        model = Channel
        fields = ("team", "name", "kind")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.sent = {name: cleaned.get(name) for name in ("name", "kind")}
        self.sent |= {name: cleaned[name] for name in ("url", "secret") if cleaned.get(name)}
        if self.instance._state.adding and "url" not in self.sent:
            self.add_error("url", "Give the address.")
        if self.errors:
            return cleaned
        try:
            self.draft = self._draft(cleaned)
        except SiteError as error:
            for found in error.errors:
                self.add_error(found.field if found.field in self.fields else None, found.message)
            if not error.errors:
                self.add_error(None, error.detail)
        return cleaned

    def _draft(self, cleaned: dict[str, Any]) -> Channel | None:
        if self.instance._state.adding:
            return services.draft(self.caller, self.sent | {"team_id": cleaned["team"].pk})
        services.fill(self.caller, services.find(self.caller, self.instance.pk), self.sent)
        return None


@admin.register(Channel)
class ChannelAdmin(OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "team"
    least_to_see = Role.ADMINISTRATOR
    change_action = services.ACTION
    waits_outside = True
    form = ChannelAdminForm
    list_display = ("name", "team", "kind", "shown_url", "created_at")
    list_filter = ("kind", "team")
    list_select_related = ("team",)
    readonly_fields = ("shown_url", "created_at", "created_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return Channel.objects.administered_by(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A channel stays in its team: its log is the team's."""
        return (*self.readonly_fields, "team") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        form.caller = caller_from_page(request)  # type: ignore[attr-defined]
        return form

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        caller = caller_from_page(request)
        if change:
            services.change(caller, obj.pk, form.sent)
        else:
            services.add(caller, form.draft)
            obj.pk = form.draft.pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        services.delete(caller_from_page(request), obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(Event)
class EventAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "team"
    list_display = ("created_at", "kind", "severity", "title", "team")
    list_filter = ("kind", "severity")
    list_select_related = ("team",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "event__team"
    least_to_see = Role.ADMINISTRATOR
    list_display = ("event", "channel", "user", "status", "attempts", "due_at", "detail")
    list_filter = ("status",)
    list_select_related = ("event", "channel", "user")
    exclude = ("claim",)
