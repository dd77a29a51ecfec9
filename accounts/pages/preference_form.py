"""The form of the settings page."""

from django import forms

from accounts.models import Density, Preference, Span, User
from accounts.preferences import zone_names

_SPANS = {
    Span.HOUR: "1 hour",
    Span.SIX_HOURS: "6 hours",
    Span.DAY: "24 hours",
    Span.WEEK: "7 days",
    Span.MONTH: "30 days",
    Span.YEAR: "12 months",
}


def _zones() -> list[tuple[str, str]]:
    """Areas and cities by name, UTC first; without the files that are no places."""
    names = (name for name in zone_names() if "/" in name and "Etc/" not in name)
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in sorted(names))]


class PreferenceForm(forms.Form):
    """Profile and choices of one person; `accounts.preferences` judges the address."""

    first_name = forms.CharField(label="First name", max_length=150, required=False)
    last_name = forms.CharField(label="Last name", max_length=150, required=False)
    time_zone = forms.ChoiceField(label="Time zone", choices=_zones)
    density = forms.ChoiceField(label="Density", choices=Density.choices, widget=forms.RadioSelect)
    default_range = forms.ChoiceField(label="Default range", choices=list(_SPANS.items()))
    shortcuts = forms.BooleanField(label="Single-key shortcuts", required=False)
    this_machine = forms.BooleanField(label="Show “This machine”", required=False)
    this_machine_address = forms.CharField(
        label="Its address",
        max_length=300,
        required=False,
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for name in ("first_name", "last_name", "time_zone", "default_range"):
            self.fields[name].widget.attrs["aria-describedby"] = f"{name}-help {name}-error"
        address = self.fields["this_machine_address"].widget.attrs
        address["aria-describedby"] = "this_machine_address-help this_machine_address-error"
        self.fields["first_name"].widget.attrs["autocomplete"] = "given-name"
        self.fields["last_name"].widget.attrs["autocomplete"] = "family-name"


def initial(user: User, preference: Preference) -> dict[str, object]:
    """What the form shows at first."""
    names = [name for name in PreferenceForm.base_fields if hasattr(preference, name)]
    chosen: dict[str, object] = {name: getattr(preference, name) for name in names}
    return chosen | {"first_name": user.first_name, "last_name": user.last_name}
