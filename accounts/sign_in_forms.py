"""allauth's forms in the words of this site."""

from typing import Any

from allauth.account.forms import LoginForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm


class NameAndPassword(LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}
        for name in ("login", "password"):
            self.fields[name].widget.attrs.pop("placeholder", None)
        # The page has a link to the reset below the form.
        self.fields["password"].help_text = ""


class _Code:
    """A code from the app, or one of the recovery codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        code = self.fields["code"]  # type: ignore[attr-defined]
        code.label = "Code from the app, or a recovery code"
        code.widget.attrs.pop("placeholder", None)
        code.widget.attrs |= {"inputmode": "numeric", "autofocus": True}


class SecondStep(_Code, AuthenticateForm):
    pass


class SecondStepAgain(_Code, ReauthenticateForm):
    pass
