"""The forms around the charts: a window of one's own, and a curve to compare.

Both read times in the person's time zone and hand them on in UTC.
"""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from connections.models import Connection
from core.form_fields import MomentField
from core.times import iso
from metrics.charts import RANGES

OWN_WINDOW = "own"


def _moment(label: str, name: str, *, required: bool = True) -> MomentField:
    attributes = {"type": "datetime-local", "step": "1", "aria-describedby": f"id_{name}-error"}
    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs=attributes)
    return MomentField(label=label, widget=widget, required=required)


class WindowForm(forms.Form):
    """`from` and `to`, which become `start` and `end` of the address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `from` is no name for a class attribute.
        self.fields["from"] = _moment("From", "from")
        self.fields["to"] = _moment("To", "to")

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = found.get("from"), found.get("to")
        if start and end and start >= end:
            self.add_error("to", "The end must lie after the start.")
        if start and start > timezone.now():
            self.add_error("from", "This lies in the future.")
        return found

    def span(self) -> tuple[str, str]:
        """Start and end as the address has them: UTC, ISO 8601. Only after `is_valid()`."""
        return tuple(_text(self.cleaned_data[name]) for name in ("from", "to"))  # type: ignore[return-value]


class CurveForm(forms.Form):
    """One more curve: a machine, a span, and a GPU or all of them."""

    machine = forms.ModelChoiceField(Connection.objects.none(), empty_label=None)
    range = forms.ChoiceField(
        choices=[*((key, name) for key, _, name in RANGES), (OWN_WINDOW, "from … to")]
    )
    gpu = forms.IntegerField(
        label="GPU",
        required=False,
        min_value=0,
        max_value=32_767,
        widget=forms.NumberInput(attrs={"placeholder": "all"}),
    )

    def __init__(self, *args: Any, machines: QuerySet[Connection], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["machine"].queryset = machines  # type: ignore[attr-defined]
        self.fields["from"] = _moment("From", "from", required=False)
        self.fields["to"] = _moment("To", "to", required=False)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("range") == OWN_WINDOW:
            start, end = found.get("from"), found.get("to")
            if not start or not end or start >= end:
                self.add_error("to", "Say from when to when; the end lies after the start.")
        return found

    def range_text(self) -> str:
        """As an address has it. Only after `is_valid()`."""
        found = self.cleaned_data
        if found["range"] != OWN_WINDOW:
            return str(found["range"])
        return f"{_text(found['from'])}/{_text(found['to'])}"


def _text(moment: datetime) -> str:
    return str(iso(moment.astimezone(UTC)))
