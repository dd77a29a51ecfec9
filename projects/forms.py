"""The form that adds or changes a project: HTML in, the API's grammar decides."""

from typing import Any

from django import forms
from pydantic import ValidationError

from accounts.models import User
from connections.models import Connection
from core.errors import SiteError
from projects.models import Project
from projects.schemas import LONGEST_DESCRIPTION, ProjectIn

_MAKE_IT = "Tick “Make the folder” to have it made."


class ProjectForm(forms.Form):
    """Field names are those of the API; `revision` is the row's when the form was opened."""

    use_required_attribute = False

    connection_id = forms.ChoiceField()
    name = forms.CharField(max_length=100)
    project_type = forms.CharField(max_length=50, initial="training")
    remote_path = forms.CharField(max_length=1024)
    create_directory = forms.BooleanField(required=False)
    description = forms.CharField(
        required=False, max_length=LONGEST_DESCRIPTION, widget=forms.Textarea(attrs={"rows": 4})
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, user: User, row: Project | None = None, data: Any = None, machine: str = ""):
        super().__init__(data, initial=_initial(row) if row else {"connection_id": machine})
        self.row = row
        self._offer_machines(user)
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"{name}-help {name}-error"
            field.widget.attrs["autocomplete"] = "off"
            if self.is_bound and name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"

    def api_fields(self) -> dict[str, Any] | None:
        """What the API would have been sent, checked by its grammar; None with errors set."""
        if not self.is_valid():
            return None
        sent = {name: value for name, value in self.cleaned_data.items() if name != "revision"}
        try:
            return ProjectIn.model_validate(sent).model_dump(exclude_unset=True)
        except ValidationError as error:
            for found in error.errors():
                self._blame(str(found["loc"][0]), found["msg"].removeprefix("Value error, "))
        return None

    def take(self, error: SiteError) -> None:
        """Show an error of a service at its field, or above the form."""
        for found in error.errors:
            hint = f" {_MAKE_IT}" if error.code == "folder_missing" else ""
            self._blame(found.field, found.message + hint)
        if not error.errors:
            self.add_error(None, error.detail)

    def _blame(self, field: str, message: str) -> None:
        self.add_error(field if field in self.fields else None, message)

    def _offer_machines(self, user: User) -> None:
        field = self.fields["connection_id"]
        assert isinstance(field, forms.ChoiceField)
        if self.row is not None:
            field.choices = [(str(self.row.connection_id), self.row.connection.name)]
            return
        rows = Connection.objects.operable_by(user).order_by("name")
        offered = [(str(row.pk), f"{row.name} ({row.status})") for row in rows]
        field.choices = offered if len(offered) == 1 else [("", "Choose a machine"), *offered]


def _initial(row: Project) -> dict[str, Any]:
    names = ("name", "project_type", "remote_path", "description", "revision")
    return {name: getattr(row, name) for name in names} | {"connection_id": str(row.connection_id)}
