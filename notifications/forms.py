"""The forms of the notification pages; what they mean is checked by the services."""

from typing import Any

from django import forms

from accounts.models import Role, Team, User
from accounts.policy import roles_from
from core.errors import SiteError
from notifications.kinds import KINDS, Way
from notifications.models import Channel, ChannelKind
from notifications.serializers import MASK, taken

EVENTS = [(kind.name, kind.title) for kind in KINDS if Way.CHANNEL in kind.ways]
_KINDS = [(ChannelKind.APPRISE.value, "Chat service"), (ChannelKind.WEBHOOK.value, "Webhook")]


class Answering(forms.Form):
    def take(self, error: SiteError) -> None:
        """Put what a service found wrong beside the fields."""
        for found in error.errors:
            self.add_error(found.field if found.field in self.fields else None, found.message)
        if not error.errors:
            self.add_error(None, error.detail)


class ChannelForm(Answering):
    """A new channel, or one that is there: then address and secret are shown masked."""

    name = forms.CharField(max_length=100)
    kind = forms.ChoiceField(
        choices=_KINDS, widget=forms.RadioSelect, initial=ChannelKind.APPRISE.value
    )
    url = forms.CharField(
        max_length=2000,
        label="Address",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    secret = forms.CharField(
        max_length=500,
        required=False,
        label="Secret of a webhook",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    events = forms.MultipleChoiceField(
        choices=EVENTS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        initial=[name for name, _ in EVENTS],
    )
    team_id = forms.ModelChoiceField(Team.objects.none(), label="Team", empty_label=None)

    def __init__(self, user: User, channel: Channel | None, data: Any = None) -> None:
        super().__init__(data, initial=_stored(channel) if channel else None)
        teams = Team.objects.all()
        if not user.is_superuser:
            administered = roles_from(Role.ADMINISTRATOR)
            teams = teams.filter(memberships__user=user, memberships__role__in=administered)
        field = self.fields["team_id"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = teams
        if channel is not None or teams.count() == 1:
            del self.fields["team_id"]

    def api_fields(self) -> dict[str, Any]:
        """What the API would have been sent."""
        fields = {name: self.cleaned_data[name] for name in ("name", "kind", "url", "events")}
        if secret := self.cleaned_data["secret"]:
            fields["secret"] = secret
        if team := self.cleaned_data.get("team_id"):
            fields["team_id"] = team.pk
        return fields


class QuietHoursForm(Answering):
    starts = forms.TimeField(
        required=False, label="From", widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    ends = forms.TimeField(
        required=False,
        label="Until",
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
    )


def _stored(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "url": channel.shown_url,
        "secret": MASK if channel.secret_encrypted else "",
        "events": taken(channel),
    }
