"""The form that makes or changes a rule, which reads as a sentence; the API's grammar decides."""

from typing import Any

from django import forms
from pydantic import ValidationError

from accounts.policy import Caller
from alerts import inputs
from alerts.models import AlertRule
from alerts.quantities import QUANTITIES
from alerts.schemas import RuleIn
from alerts.words import SIGNS
from connections.models import Connection
from notifications.forms import Answering

_UNITS = ((1, "seconds"), (60, "minutes"), (3600, "hours"))
_EVERY = ("", "any machine")
_METRICS = [
    (one.name, f"{one.title} ({one.unit})" if one.unit else one.title)
    for one in QUANTITIES.values()
    if one.name != "gpu_throttled"  # the same as `throttled`
]


class RuleForm(Answering):
    """Field names are the API's, but for `where` (a machine or a tag) and `hold` with its unit."""

    use_required_attribute = False

    name = forms.CharField(max_length=100)
    where = forms.ChoiceField(required=False)
    gpu = forms.IntegerField(required=False, min_value=0, max_value=32_767)
    metric = forms.ChoiceField(choices=_METRICS)
    comparison = forms.ChoiceField(choices=list(SIGNS.items()))
    threshold = forms.FloatField()
    and_metric = forms.ChoiceField(choices=[("", "nothing else"), *_METRICS], required=False)
    and_comparison = forms.ChoiceField(choices=list(SIGNS.items()), required=False)
    and_threshold = forms.FloatField(required=False)
    hold = forms.IntegerField(required=False, min_value=0, initial=5)
    hold_unit = forms.TypedChoiceField(choices=_UNITS, coerce=int, initial=60)
    clear_margin = forms.FloatField(required=False, min_value=0, initial=0)
    channel_ids = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    team_id = forms.ChoiceField(required=False)

    def __init__(self, caller: Caller, rule: AlertRule | None = None, data: Any = None) -> None:
        super().__init__(data, initial=_initial(rule) if rule else None)
        self.rule = rule
        self._offer_choices(caller)
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"{name}-help {name}-error"
            field.widget.attrs["autocomplete"] = "off"
            if self.is_bound and name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"

    def api_fields(self) -> dict[str, Any] | None:
        """What the API would have been sent, checked by its grammar; None with errors set."""
        if not self.is_valid():
            return None
        try:
            return RuleIn.model_validate(self._sent()).model_dump(exclude_unset=True)
        except ValidationError as error:
            for found in error.errors():
                self._blame(found["loc"], found["msg"].removeprefix("Value error, "))
        return None

    def _sent(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        names = ("name", "metric", "comparison", "threshold", "gpu", "channel_ids")
        sent = {name: cleaned[name] for name in names}
        kind, _, value = cleaned["where"].partition(":")
        sent["connection_id"] = value if kind == "machine" else None
        sent["tag"] = value if kind == "tag" else None
        sent["for_seconds"] = (cleaned["hold"] or 0) * cleaned["hold_unit"]
        sent["clear_margin"] = cleaned["clear_margin"] or 0.0
        sent["and"] = self._second(cleaned)
        team_id = cleaned.get("team_id")
        if team_id and self.rule is None and not sent["connection_id"]:
            sent["team_id"] = team_id
        return sent

    def _second(self, cleaned: dict[str, Any]) -> dict[str, Any] | None:
        if not cleaned["and_metric"]:
            return None
        return {
            "metric": cleaned["and_metric"],
            "comparison": cleaned["and_comparison"],
            "threshold": cleaned["and_threshold"],
        }

    def _blame(self, place: tuple[int | str, ...], message: str) -> None:
        names = {"and": f"and_{place[-1]}", "for_seconds": "hold", "connection_id": "where"}
        first = str(place[0])
        field = names.get(first, "where" if first == "tag" else first)
        self.add_error(field if field in self.fields else None, message)

    def _offer_choices(self, caller: Caller) -> None:
        teams = [self.rule.team] if self.rule else list(inputs.teams_to_write_for(caller))
        machines = Connection.objects.visible_to(caller.user).filter(team__in=teams)
        rows = list(machines.order_by("name").values_list("pk", "name", "tags"))
        tags = sorted({tag for _, _, its in rows for tag in its})
        channels = inputs.visible_channels(caller).filter(team__in=teams)
        self._offer(
            "where",
            [
                _EVERY,
                *((f"tag:{tag}", f"a machine tagged {tag}") for tag in tags),
                *((f"machine:{pk}", name) for pk, name, _ in rows),
            ],
        )
        self._offer("channel_ids", [(str(row.pk), row.name) for row in channels])
        self._offer("team_id", [(str(team.pk), team.name) for team in teams])
        if len(teams) < 2:
            del self.fields["team_id"]

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


def _initial(rule: AlertRule) -> dict[str, Any]:
    names = ("name", "gpu", "metric", "comparison", "threshold", "clear_margin")
    values = {name: getattr(rule, name) for name in names}
    fitting = (size for size, _ in reversed(_UNITS) if rule.for_seconds % size == 0)
    unit = next(fitting) if rule.for_seconds else 1
    where = f"machine:{rule.connection_id}" if rule.connection_id else ""
    return values | {
        "where": f"tag:{rule.tag}" if rule.tag else where,
        "and_metric": rule.and_metric,
        "and_comparison": rule.and_comparison,
        "and_threshold": rule.and_threshold,
        "hold": rule.for_seconds // unit,
        "hold_unit": unit,
        "channel_ids": [str(channel.pk) for channel in rule.channels.all()],
    }
