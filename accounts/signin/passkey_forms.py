"""allauth's forms for passkeys, which here also take nonsense for an answer.

What a browser sends is JSON with binary parts; the library that reads it answers some malformed
ones with errors of Python, which would become a fault of ours.
"""

import struct
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError

from accounts.audit import denials

_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, AssertionError, struct.error)


class CredentialField(forms.JSONField):
    """JSON from the browser; `ValidationError` for what is none, also if it is nested too deep."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except RecursionError as error:
            raise get_adapter().validation_error("incorrect_code") from error
        if found is not None and not isinstance(found, dict):
            raise get_adapter().validation_error("incorrect_code")
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """An answer counts once: the page that refuses it does not repeat it."""
        return None

    def prepare_value(self, value: Any) -> Any:
        return ""


class _Answer:
    """A passkey's answer to a challenge; one that proves nothing is noted for the audit."""

    user: Any  # None where the passkey itself says who it is

    def clean_credential(self) -> Any:
        try:
            return self._judged()
        except ValidationError:
            denials.note_proof(context.request, self.user, Authenticator.Type.WEBAUTHN)
            raise

    def _judged(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except _NONSENSE as error:
            raise get_adapter().validation_error("incorrect_code") from error


class PasskeyAlone(_Answer, LoginWebAuthnForm):
    credential = CredentialField()


class PasskeyAsSecondStep(_Answer, AuthenticateWebAuthnForm):
    credential = CredentialField()


class PasskeyAgain(_Answer, ReauthenticateWebAuthnForm):
    credential = CredentialField()


class NewPasskey(AddWebAuthnForm):
    credential = CredentialField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].max_length = 100
        self.fields["name"].widget.attrs["maxlength"] = "100"
        alone = self.fields["passwordless"]
        alone.label = "Log in with it alone, without a password"
        alone.help_text = "The device then asks for a finger, a face or a PIN."
        alone.initial = True

    def clean_name(self) -> str:
        return str(super().clean_name())[:100]

    def clean(self) -> Any:
        try:
            return super().clean()
        except _NONSENSE as error:
            raise get_adapter().validation_error("incorrect_code") from error
