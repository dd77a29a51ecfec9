"""The price of energy and the retention of the ledger in Django's admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin import Audited
from accounts.back_office import OfTeams
from usage.models import UsageSettings


@admin.register(UsageSettings)
class UsageSettingsAdmin(Audited, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row: it is added once, changed, and never deleted."""

    audit_name = "usage_settings"
    list_display = ("__str__", "price_per_kwh", "currency", "keep_days")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not UsageSettings.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
