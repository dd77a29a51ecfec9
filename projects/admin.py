"""Projects in Django's admin: the same services, policy and audit as everywhere."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from pydantic import ValidationError

from accounts.auth.callers import caller_from_page
from accounts.back_office import OfTeams
from accounts.policy import Caller
from core.errors import SiteError
from projects import hidden, inputs, services
from projects.models import Project
from projects.schemas import ProjectIn

_PLAIN = ("name", "description", "project_type", "remote_path", "status")
_TEXTS = ("config_text", "schema_text")
_STATE = (
    "resolved_path",
    "path_note",
    "revision",
    "last_activity_at",
    "created_by",
    "created_at",
    "updated_at",
)


class ProjectAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """A project's form; `caller` is set by the admin for the person who fills it in."""

    caller: Caller

    make_folder = forms.BooleanField(required=False, help_text="Make it if it is missing.")

    class Meta:
        model = Project
        fields = ("connection", *_PLAIN, *_TEXTS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["config_text"] = hidden.shown(self.instance.config_text)

    def clean(self) -> dict[str, Any]:
        """Ask the API's grammar, and the machine for the folder; nothing is stored."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.api_fields: inputs.Fields = {}
        if self.errors:
            return cleaned
        try:
            self.api_fields = self._checked(cleaned)
            if self.instance._state.adding:
                self.draft = inputs.new(self.caller, self.api_fields)
            else:
                # On a copy, so that a refused form leaves the row's own fields alone.
                row = Project.objects.get(pk=self.instance.pk)
                inputs.fill(self.caller, row, self.api_fields)
        except ValidationError as error:
            for found in error.errors():
                self._blame(str(found["loc"][0]), str(found["msg"]))
        except SiteError as error:
            for problem in error.errors:
                self._blame(problem.field, problem.message)
            if not error.errors:
                self.add_error(None, error.detail)
        return cleaned

    def _checked(self, cleaned: dict[str, Any]) -> inputs.Fields:
        sent = {name: cleaned[name] for name in _PLAIN}
        sent["connection_id"] = cleaned["connection"].pk
        sent["create_directory"] = cleaned["make_folder"]
        fields = ProjectIn.model_validate(sent).model_dump(exclude_unset=True)
        return fields | {name: cleaned[name].replace("\r\n", "\n") for name in _TEXTS}

    def _blame(self, field: str, message: str) -> None:
        first = field.split(".", maxsplit=1)[0]
        names = {
            "connection_id": "connection",
            "config": "config_text",
            "config_schema": "schema_text",
        }
        name = names.get(first, first)
        self.add_error(name if name in self.fields else None, message)


@admin.register(Project)
class ProjectAdmin(OfTeams, admin.ModelAdmin):  # type: ignore[type-arg]
    team_path = "connection__team"
    change_action = "project.change"
    waits_outside = True
    form = ProjectAdminForm
    list_display = ("name", "connection", "project_type", "status", "last_activity_at")
    list_filter = ("status",)
    list_select_related = ("connection",)
    search_fields = ("name", "remote_path", "description")
    readonly_fields = _STATE
    actions = ("move_to_trash",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """What is in the trash is restored on its own page."""
        return super().get_queryset(request).filter(deleted_at__isnull=True)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        form.caller = caller_from_page(request)  # type: ignore[attr-defined]
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted for good; the action moves it to the trash."""
        return False

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        caller = caller_from_page(request)
        if change:
            services.change(caller, obj.pk, form.api_fields)
        else:
            obj.pk = services.add(caller, form.draft).pk
        obj.refresh_from_db()

    @admin.action(description="Move to the trash")
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        caller = caller_from_page(request)
        for row in queryset:
            try:
                services.delete(caller, row.pk)
            except SiteError as error:
                self.message_user(request, f"{row.name}: {error.detail}", messages.ERROR)
            else:
                self.message_user(request, f"{row.name}: done.", messages.SUCCESS)
