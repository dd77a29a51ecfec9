"""The form with the rules of a machine's queue: HTML in, the API's grammar decides."""

from typing import Any

from django import forms
from pydantic import ValidationError

from jobs.api.schemas import QueuePatch
from jobs.models import MachineQueue

_MIB = 2**20


class QueueForm(forms.Form):
    """Memory is in MiB here and in bytes in the API; an empty limit is none."""

    use_required_attribute = False

    per_person = forms.IntegerField(required=False)
    idle_percent = forms.FloatField()
    idle_mib = forms.IntegerField()
    hold_seconds = forms.FloatField()

    def __init__(self, row: MachineQueue, data: Any = None) -> None:
        super().__init__(data, initial=_initial(row))
        for name, field in self.fields.items():
            field.widget.attrs |= {"aria-describedby": f"{name}-help {name}-error", "step": "any"}
            if self.is_bound and name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.api_fields: dict[str, Any] = {}
        if not self.errors:
            try:
                self.api_fields = QueuePatch.model_validate(_sent(cleaned)).model_dump()
            except ValidationError as error:
                for found in error.errors():
                    name = str(found["loc"][0]).replace("idle_bytes", "idle_mib")
                    self.add_error(name, str(found["msg"]))
            self.api_fields.pop("is_paused", None)
        return cleaned


def _initial(row: MachineQueue) -> dict[str, Any]:
    return {
        "per_person": row.per_person,
        "idle_percent": f"{row.idle_percent:g}",
        "idle_mib": row.idle_bytes // _MIB,
        "hold_seconds": f"{row.hold_seconds:g}",
    }


def _sent(cleaned: dict[str, Any]) -> dict[str, Any]:
    names = ("per_person", "idle_percent", "hold_seconds")
    return {name: cleaned[name] for name in names} | {"idle_bytes": cleaned["idle_mib"] * _MIB}
