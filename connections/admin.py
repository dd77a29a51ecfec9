"""Machines and keepers in Django's admin: the same services, policy and audit as everywhere.

The form's grammar is the API's. Secrets are written here and never shown. State is read-only: it
belongs to the keepers.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from pydantic import ValidationError

from accounts.auth.callers import caller_from_page
from accounts.back_office import OfTeams
from accounts.policy import Caller
from connections import inputs, services
from connections.credentials import admin as server_keys_admin
from connections.models import Connection, Keeper
from connections.pages.forms import SecretText
from connections.schemas import ConnectionIn
from core.errors import SiteError

# Registers itself; Django looks for this file alone.
__all__ = ["server_keys_admin"]

_PLAIN = (
    "name",
    "transport",
    "hostname",
    "port",
    "username",
    "auth_method",
    "ollama_port",
    "auto_connect",
)
_STATE = (
    "status",
    "reason",
    "detail",
    "since",
    "retry_at",
    "is_active",
    "last_connected_at",
    "offered_host_key",
    "public_key",
    "stored_secrets",
    "owner",
    "epoch",
    "created_at",
    "created_by",
    "updated_at",
)


class ConnectionAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """A machine's form; `caller` is set by the admin for the person who fills it in."""

    caller: Caller

    private_key = forms.CharField(
        required=False,
        strip=False,
        widget=SecretText(attrs={"rows": 4, "autocomplete": "off"}),
        help_text="Paste to replace the stored one; empty keeps it.",
    )
    passphrase = forms.CharField(required=False, strip=False, widget=forms.PasswordInput)
    password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput,
        help_text="Type to replace the stored one; empty keeps it.",
    )
    generate_key = forms.BooleanField(
        required=False, help_text="Make a new key pair; its public half is shown afterwards."
    )
    # A choice and not a tick, so that what is accepted is exactly what was shown.
    accept_host_key = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Accept the offered host key"
    )

    class Meta:
        model = Connection
        fields = ("team", "tags", *_PLAIN, "ssh_key_path", "jump_connection", "host_key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "hostname" not in self.fields:
            return  # who may only look has no field to fill in
        self.fields["hostname"].required = False
        offered = self.instance.offered_host_key
        choices = [(offered, offered)] if offered else []
        accept = self.fields["accept_host_key"]
        assert isinstance(accept, forms.MultipleChoiceField)
        accept.choices = choices

    def clean(self) -> dict[str, Any]:
        """Ask the API's grammar and the same checks as a POST or PATCH; nothing is stored."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.api_fields: inputs.Fields = {}
        self.draft: Connection | None = None
        if self.errors:
            return cleaned
        try:
            sent = ConnectionIn.model_validate(self._sent(cleaned))
            self.api_fields = sent.model_dump(exclude_unset=True)
            self.draft = self._draft()
        except ValidationError as error:
            for found in error.errors():
                self._blame(str(found["loc"][0]), str(found["msg"]))
        except SiteError as error:
            for problem in error.errors:
                self._blame(problem.field, problem.message)
            if not error.errors:
                self.add_error(None, error.detail)
        return cleaned

    def _draft(self) -> Connection:
        if self.instance._state.adding:
            return inputs.new(self.caller, self.api_fields)
        row = services.find(self.caller, self.instance.pk, "connection.change")
        inputs.fill(self.caller, row, self.api_fields)
        return row

    def _sent(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        sent = {name: cleaned[name] for name in _PLAIN}
        sent["tags"] = cleaned["tags"] or []
        sent["team_id"] = cleaned["team"].pk
        jump = cleaned["jump_connection"]
        sent["jump_connection_id"] = jump.pk if jump else None
        sent["host_key"] = (cleaned["accept_host_key"] or [cleaned["host_key"]])[0]
        if cleaned["ssh_key_path"] != self.instance.ssh_key_path:
            sent["ssh_key_path"] = cleaned["ssh_key_path"]
        written = ("private_key", "passphrase", "password", "generate_key")
        return sent | {name: cleaned[name] for name in written if cleaned[name]}

    def _blame(self, field: str, message: str) -> None:
        name = {"team_id": "team", "jump_connection_id": "jump_connection"}.get(field, field)
        self.add_error(name if name in self.fields else None, message)


@admin.register(Connection)
class ConnectionAdmin(OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "team"
    change_action = "connection.change"
    waits_outside = True
    form = ConnectionAdminForm
    list_display = ("name", "team", "hostname", "status", "reason", "is_active", "owner")
    list_filter = ("status", "reason", "team", "transport")
    list_select_related = ("team", "owner")
    search_fields = ("name", "hostname")
    readonly_fields = _STATE
    actions = ("connect", "disconnect", "move_to_trash")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return Connection.objects.visible_to(request.user)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        form.caller = caller_from_page(request)  # type: ignore[attr-defined]
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted for good; the action moves it to the trash."""
        return False

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        caller = caller_from_page(request)
        if change:
            services.change(caller, obj.pk, form.api_fields)
        else:
            obj.pk = services.add(caller, form.draft).pk
        obj.refresh_from_db()

    @admin.display(description="stored secrets")
    def stored_secrets(self, obj: Connection) -> str:
        """Which there are, never what they say."""
        names = [name for name in Connection.encrypted_names() if getattr(obj, f"{name}_encrypted")]
        return ", ".join(names).replace("_", " ") or "none"

    @admin.action(description="Connect")
    def connect(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        self._each(request, queryset, services.connect)

    @admin.action(description="Disconnect")
    def disconnect(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        self._each(request, queryset, services.disconnect)

    @admin.action(description="Move to the trash")
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        self._each(request, queryset, services.delete)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Connection],
        act: Callable[[Caller, UUID], object],
    ) -> None:
        caller = caller_from_page(request)
        for row in queryset:
            try:
                act(caller, row.pk)
            except SiteError as error:
                self.message_user(request, f"{row.name}: {error.detail}", messages.ERROR)
            else:
                self.message_user(request, f"{row.name}: done.", messages.SUCCESS)


@admin.register(Keeper)
class KeeperAdmin(OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    """Who holds the sessions; written by the keepers alone."""

    list_display = ("name", "holds_local", "started_at", "heartbeat_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
