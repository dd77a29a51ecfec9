"""The form of a new job: HTML in, the API's grammar decides."""

from typing import Any

from django import forms
from pydantic import ValidationError

from accounts.models import User
from connections.models import Connection
from core.errors import SiteError
from core.form_fields import MomentField
from jobs import command_preview
from jobs.api.schemas import JobIn
from jobs.hidden_values import shown_config
from jobs.models import FINAL, Job
from jobs.pages import form_text
from projects.models import Project
from projects.models import Status as ProjectStatus

_OFFERED = 500
_KINDS = (("command", "A command in the project's folder"), ("container", "A container (docker)"))
_PLAIN = (
    "name",
    "model_name",
    "kind",
    "command",
    "image",
    "virtualenv",
    "conda_env",
    "wait_for_gpu",
    "priority",
    "max_minutes",
    "max_retries",
)
_LINES = {"spellcheck": "false", "autocapitalize": "off", "wrap": "off"}


class JobForm(forms.Form):
    """Field names are those of the API; what is a list or an object there is a text here."""

    use_required_attribute = False

    project_id = forms.ChoiceField()
    name = forms.CharField(max_length=100)
    model_name = forms.CharField(max_length=200, required=False)
    kind = forms.ChoiceField(choices=_KINDS, widget=forms.RadioSelect, initial="command")
    command = forms.CharField(
        required=False, strip=False, widget=forms.Textarea(attrs={"rows": 5} | _LINES)
    )
    image = forms.CharField(max_length=500, required=False)
    virtualenv = forms.CharField(max_length=1024, required=False)
    conda_env = forms.CharField(max_length=200, required=False)
    gpus = forms.CharField(max_length=4000, required=False, initial="0")
    wait_for_gpu = forms.BooleanField(required=False, initial=True)
    priority = forms.IntegerField(required=False, initial=0)
    max_minutes = forms.IntegerField(required=False)
    max_retries = forms.IntegerField(required=False, initial=0)
    not_before = MomentField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    after = forms.ChoiceField(required=False)
    environment = forms.CharField(
        required=False, strip=False, widget=forms.Textarea(attrs={"rows": 4} | _LINES)
    )
    secret_names = forms.CharField(max_length=4000, required=False)
    config = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 8} | _LINES))
    # The job from which the form was filled: its secrets are not in the page.
    source = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, user: User, data: Any = None, initial: dict[str, Any] | None = None):
        super().__init__(data, initial=initial)
        self._offer(user)
        for name, field in self.fields.items():
            if name != "kind":
                field.widget.attrs["aria-describedby"] = f"{name}-help {name}-error"
            field.widget.attrs["autocomplete"] = "off"
            if self.is_bound and name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"

    def api_fields(self, source: Job | None) -> dict[str, Any] | None:
        """What the API would have been sent, checked by its grammar; None with errors set.

        `source` is the job that the form was filled from: what stands behind its masks.
        """
        if not self.is_valid():
            return None
        try:
            sent = form_text.sent(self.cleaned_data, source)
            fields = JobIn.model_validate(sent).model_dump(exclude_unset=True)
        except ValidationError as error:
            for found in error.errors():
                self._blame(str(found["loc"][0]), found["msg"].removeprefix("Value error, "))
            return None
        except SiteError as error:
            self.take(error)
            return None
        return fields

    def take(self, error: SiteError) -> None:
        """Show an error of a service at its field, or above the form."""
        for found in error.errors:
            self._blame(found.field.split(".")[0].split("/")[0], found.message)
        if not error.errors:
            self.add_error(None, error.detail)

    def _blame(self, field: str, message: str) -> None:
        self.add_error(field if field in self.fields else None, message)

    def _offer(self, user: User) -> None:
        """Projects and unfinished jobs on machines that this person may use."""
        machines = Connection.objects.operable_by(user)
        projects = Project.objects.visible_to(user).filter(connection__in=machines)
        projects = projects.exclude(status=ProjectStatus.ARCHIVED).order_by("name")
        rows = list(projects.values_list("pk", "name", "connection__name")[:_OFFERED])
        offered = [(str(pk), f"{name} ({machine})") for pk, name, machine in rows]
        self._set("project_id", offered if len(offered) == 1 else [("", "Choose"), *offered])
        jobs = Job.objects.operable_by(user).exclude(status__in=FINAL).order_by("-created_at")
        waiting = jobs.values_list("pk", "name", "status")[:_OFFERED]
        self._set("after", [("", "No"), *((str(pk), f"{n} ({s})") for pk, n, s in waiting)])

    def _set(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


def initial_from(job: Job) -> dict[str, Any]:
    """The inputs of a job that is there; secret values stay masked."""
    return {name: getattr(job, name) for name in _PLAIN} | {
        "project_id": str(job.project_id),
        "gpus": form_text.of_gpus(job.gpus),
        "environment": form_text.of_environment(job),
        "secret_names": ", ".join(job.secret_names),
        "config": command_preview.config_text(shown_config(job)) if job.config else "",
        "source": str(job.pk),
    }
