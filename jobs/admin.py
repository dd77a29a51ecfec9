"""Jobs and the rules of queues in Django's admin. Jobs are only looked at: what they may do next is
for the services to say, and for their machines.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin import Audited, ReadOnly
from accounts.back_office import OfTeams
from jobs import command_preview, hidden_values
from jobs.models import Job, MachineQueue


@admin.register(Job)
class JobAdmin(ReadOnly, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "connection__team"
    list_display = ("name", "status", "connection", "project", "requested_by", "created_at")
    list_filter = ("status", "kind")
    list_select_related = ("connection", "project", "requested_by")
    search_fields = ("name", "model_name")
    exclude = ("environment_encrypted", "config")
    readonly_fields = ("shown_config",)

    @admin.display(description="config")
    def shown_config(self, obj: Job) -> str:
        """Secret values are masked here as everywhere."""
        return command_preview.config_text(hidden_values.shown_config(obj))


@admin.register(MachineQueue)
class MachineQueueAdmin(Audited, OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """A queue is made with the first job of its machine and goes with the machine."""

    audit_name = "queue"
    team_path = "connection__team"
    change_action = "queue.change"
    list_display = ("connection", "is_paused", "idle_percent", "hold_seconds", "per_person")
    readonly_fields = ("connection", "seen_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
