"""The forms of the account page and of the first start."""

from django import forms
from django.contrib.auth import password_validation

from accounts.models import Role, Scope
from core.form_fields import DayField

_DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "never"))
_SCOPES = (
    (Scope.READ, "read"),
    (Scope.OPERATE, "read and operate"),
    (Scope.ADMIN, "everything you may do"),
)


class TokenForm(forms.Form):
    """A token for a script."""

    name = forms.CharField(label="What it is for", max_length=100)
    scope = forms.ChoiceField(label="It may", choices=_SCOPES)
    days = forms.TypedChoiceField(
        label="It expires after",
        choices=_DAYS,
        required=False,
        coerce=int,
        empty_value=None,
        initial="90",
    )


class FirstAdministratorForm(forms.Form):
    """The first person of the site."""

    username = forms.CharField(label="User name", max_length=150, initial="admin")
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validation.password_validators_help_text_html,
    )
    repeated = forms.CharField(
        label="The same again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> None:
        super().clean()
        if self.cleaned_data.get("password") != self.cleaned_data.get("repeated"):
            self.add_error("repeated", "The two passwords differ.")


class TeamForm(forms.Form):
    """A team's name."""

    name = forms.CharField(label="Name", max_length=100)


class MemberForm(forms.Form):
    """Somebody with an account."""

    person = forms.CharField(label="User name or e-mail", max_length=254)
    role = forms.ChoiceField(label="As", choices=Role.choices)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices)


class InvitationForm(forms.Form):
    """A link for one person, sent if there is an address."""

    role = forms.ChoiceField(label="As", choices=Role.choices)
    email = forms.EmailField(label="Send it to", required=False)


class NewAccountForm(forms.Form):
    """The account of somebody who was invited."""

    username = forms.CharField(label="User name", max_length=150)
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validation.password_validators_help_text_html,
    )


class AuditForm(forms.Form):
    """Which rows of the audit trail; days are of UTC."""

    actor = forms.CharField(label="Person", max_length=150, required=False)
    action = forms.CharField(label="Action begins with", max_length=60, required=False)
    object = forms.CharField(label="Object", max_length=255, required=False)
    since = DayField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = DayField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))
