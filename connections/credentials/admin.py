"""The list of the server's own keys in Django's admin: for superusers alone, each entry audited."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.auth.callers import caller_from_page
from accounts.back_office import Told
from connections.credentials import keys, server_keys
from connections.models import ServerKey
from core.errors import Invalid


class ServerKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ServerKey
        fields = ("team", "path")
        help_texts = {  # noqa: RUF012 (Django reads it so)
            "path": "A key file below the server's key directory (DGX_SSH_KEY_DIR). "
            "Empty: the keys of the SSH agent of the account that runs this site."
        }

    def clean_path(self) -> str:
        """The real path, as the machines' rows have it."""
        written = self.cleaned_data["path"]
        if not written:
            return server_keys.AGENT
        try:
            return str(keys.key_path(written))
        except Invalid as error:
            raise forms.ValidationError(error.detail) from error


@admin.register(ServerKey)
class ServerKeyAdmin(Told, admin.ModelAdmin):  # type: ignore[type-arg]
    """An entry is made and taken away, never changed."""

    form = ServerKeyForm
    list_display = ("__str__", "team", "created_at")
    list_filter = ("team",)
    list_select_related = ("team",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: ServerKey, form: Any, change: bool) -> None:
        caller = caller_from_page(request)
        with transaction.atomic():
            audit.record(caller, "server_key.open", obj, team=obj.team, key=str(obj))
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: ServerKey) -> None:
        server_keys.close(caller_from_page(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ServerKey]) -> None:
        for obj in queryset.select_related("team"):
            self.delete_model(request, obj)
