"""How allauth behaves here: nobody signs up by themselves, and a lock-out says how long it lasts.

The lock-out is allauth's rate limit `login_failed` in the shared cache. It counts a name together
with the caller's address, so that nobody can lock out a colleague from elsewhere, and all failures
of one address together. Without Redis it pauses.
"""

import math
import time
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.contrib.sites.shortcuts import get_current_site
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.mail import send_soon
from core.mail import sends_mail

_APP, _ACTION = "allauth.account", "login_failed"
# Over a Unix socket nobody says who calls; such callers count as one.
_UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104 (nothing listens here)

_WAYS = {
    "reauthenticate": "Use the password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}


class SiteAccounts(DefaultAccountAdapter):
    """allauth's hooks for names, passwords and mail."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": "That name and password do not go together.",
        "email_password_mismatch": "That name and password do not go together.",
        "too_many_login_attempts": "Too many wrong attempts. Try again in a few minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by an administrator or by the first-start set-up link."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The peer; behind a proxy the server has put the caller there. Headers are not read."""
        return request.META.get("REMOTE_ADDR") or _UNKNOWN_ADDRESS

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """How a person can show once more who they are, in our words."""
        ways = super().get_reauthentication_methods(user)
        return [way | {"description": _WAYS[way["id"]]} for way in ways]

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse who has failed too often, with the minutes left. Raises `ValidationError`."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            key = self._get_login_attempts_cache_key(request, **credentials)
            raise ValidationError(
                f"Too many wrong attempts. Try again in {_in_words(_seconds_left(request, key))}.",
                code=error.code,
            ) from error

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """The link that shows whose an address is; it rests while the account is switched off."""
        if not email_address.user.is_active:
            return False
        return bool(super().confirm_email(request, email_address))

    def set_password(self, user: Any, password: str) -> None:
        """Alone: the person was read before the form was, and may be switched off since."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        if not sends_mail():
            return
        site = get_current_site(self.request)
        known = {"request": self.request, "email": email, "current_site": site}
        send_soon(self.render_mail(template_prefix, email, known | context))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{ratelimit.get_ip(request)}"


def _seconds_left(request: HttpRequest, key: str) -> float:
    """Until the oldest counted failure is forgotten, by the limit that takes longest."""
    left, now = 1.0, time.time()
    for rate in ratelimit.get_rates(app=_APP, action=_ACTION, config=app_settings.RATE_LIMITS):
        name = ratelimit.get_cache_key(request, app=_APP, action=_ACTION, rate=rate, key=key)
        failures = [at for at in cache.get(name, []) if at > now - rate.duration]
        if len(failures) >= rate.amount:
            left = max(left, failures[rate.amount - 1] + rate.duration - now)
    return left


def _in_words(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return "one minute" if minutes == 1 else f"{minutes} minutes"
