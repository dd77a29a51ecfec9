"""The form of the History section for a window of one's own, in the person's time zone."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils import timezone

from dgxsite.times import iso


def _moment(label: str, name: str) -> forms.DateTimeField:
    attributes = {"type": "datetime-local", "step": "1", "aria-describedby": f"id_{name}-error"}
    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs=attributes)
    return forms.DateTimeField(label=label, widget=widget)


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


def _text(moment: datetime) -> str:
    return str(iso(moment.astimezone(UTC)))
