"""allauth's forms in the words of this site."""

import logging
from typing import Any

from allauth.account.forms import (
    AddEmailForm,
    ChangePasswordForm,
    LoginForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
    SetPasswordForm,
    UserTokenForm,
)
from allauth.account.forms import (
    ReauthenticateForm as PasswordAgainForm,
)
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm

from accounts.models import User
from core.security.crypto import SecretUnreadable

logger = logging.getLogger(__name__)


class _Plain:
    """Labels as everywhere else, and not a second time inside the fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            field.label = str(field.label or "").capitalize()
            field.widget.attrs.pop("placeholder", None)


class NameAndPassword(_Plain, LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "User name or e-mail"
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}
        # The page has a link to the reset below the form.
        self.fields["password"].help_text = ""


class OtherPassword(_Plain, ChangePasswordForm):
    pass


class FirstPassword(_Plain, SetPasswordForm):
    pass


class ForgottenPassword(_Plain, ResetPasswordForm):
    pass


class ResetLink(UserTokenForm):
    """Who is behind a link that resets a password; nobody once the account is switched off."""

    def _get_user(self, uidb36: str) -> User | None:
        person: User | None = super()._get_user(uidb36)
        return person if person is not None and person.is_active else None


class PasswordByMail(_Plain, ResetPasswordKeyForm):
    pass


class PasswordAgain(_Plain, PasswordAgainForm):
    pass


class FirstCode(_Plain, ActivateTOTPForm):
    pass


class OtherAddress(_Plain, AddEmailForm):
    pass


class _Code:
    """A code from the app, or one of the recovery codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        code = self.fields["code"]  # type: ignore[attr-defined]
        code.label = "Code from the app, or a recovery code"
        code.widget.attrs.pop("placeholder", None)
        code.widget.attrs |= {"inputmode": "numeric", "autofocus": True}

    def clean_code(self) -> str:
        """A seed that no key opens takes no code; the log says whose."""
        try:
            return str(super().clean_code())  # type: ignore[misc]
        except SecretUnreadable as error:
            logger.error("a second factor cannot be read: %s", error)
            raise get_adapter().validation_error("incorrect_code") from error


class SecondStep(_Code, AuthenticateForm):
    pass


class SecondStepAgain(_Code, ReauthenticateForm):
    pass
