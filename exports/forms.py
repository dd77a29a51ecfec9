"""The form for a schedule: words people choose from, and what the API makes of them."""

from typing import Any

from django import forms

from accounts.models import User
from connections.models import Connection
from exports import cron, plan
from exports.models import Kind

WHAT = [
    ("dual", "Last 24 hours, to the site and the machine"),
    ("24h", "24 hours, every 20 seconds"),
    ("7d", "7 days, by the hour"),
    ("30d", "30 days, by the hour"),
    ("12m", "12 months, by the day"),
]
WHEN = [*((name, f"{name.capitalize()}") for name in cron.PRESETS), ("cron", "As written below")]


class ScheduleForm(forms.Form):
    """`fields_for_service` is what `schedules.create` takes."""

    machine = forms.ModelChoiceField(Connection.objects.none(), empty_label=None)
    what = forms.ChoiceField(choices=WHAT, label="What")
    file_format = forms.ChoiceField(
        choices=[(name, name.upper()) for name in plan.FORMATS], initial="json", label="Format"
    )
    when = forms.ChoiceField(choices=WHEN, initial="daily", label="When (UTC)")
    cron = forms.CharField(required=False, max_length=200, label="Cron line")
    keep_count = forms.IntegerField(min_value=1, max_value=1000, initial=30, label="Files to keep")
    keep_days = forms.IntegerField(min_value=1, max_value=3650, initial=90, label="Days to keep")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["machine"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Connection.objects.operable_by(user).order_by("name")

    def fields_for_service(self) -> dict[str, Any]:
        """Only of a form that is valid."""
        data = self.cleaned_data
        is_dual = data["what"] == Kind.DUAL
        return {
            "connection_id": data["machine"].pk,
            "kind": Kind.DUAL if is_dual else Kind.RANGE,
            "range_": None if is_dual else data["what"],
            "format_": data["file_format"],
            "times": data["cron"] if data["when"] == "cron" else data["when"],
            "keep_count": data["keep_count"],
            "keep_days": data["keep_days"],
        }
