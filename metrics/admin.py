"""How long the history is kept, in Django's admin."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts.admin import Audited
from accounts.back_office import OfTeams
from core.web.waiting import outside_database
from metrics.history import retention, tiers
from metrics.models import Retention
from metrics.tasks import keep_partitions


@admin.register(Retention)
class RetentionAdmin(Audited, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """A line per tier, for the site or for one machine; what has no line keeps the default."""

    audit_name = "retention"
    team_path = "connection__team"
    change_action = "connection.change"
    list_display = ("tier", "of_whom", "keep_days")
    list_filter = ("tier",)
    list_select_related = ("connection",)
    autocomplete_fields = ("connection",)
    actions = ("clean_up_now",)

    @admin.display(description="machine", ordering="connection__name")
    def of_whom(self, row: Retention) -> str:
        return str(row.connection) if row.connection else "every other machine"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        defaults = ", ".join(f"{tier.name} {tier.keep_days} days" for tier in tiers.TIERS)
        title = {"title": f"Retention; without a line of its own: {defaults}"}
        return super().changelist_view(request, title | (extra_context or {}))

    @admin.action(description="Clean up now, by all the lines", permissions=["change"])
    def clean_up_now(self, request: HttpRequest, queryset: QuerySet[Retention]) -> None:
        """Say what goes, and let a worker take it away; the choice of lines does not matter."""
        if not request.user.is_superuser:
            self.message_user(request, "Only a superuser does this.", messages.ERROR)
            return
        expected = retention.clean_up(timezone.now(), dry_run=True)
        try:
            with outside_database():
                keep_partitions.apply_async(retry=False)
        except (OperationalError, RedisError, OSError):
            self.message_user(request, "Redis does not answer; nothing was begun.", messages.ERROR)
            return
        self.message_user(request, f"Begun: {expected}.", messages.SUCCESS)
