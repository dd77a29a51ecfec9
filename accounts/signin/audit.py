"""Changes to how a person logs in, written into the audit trail.

New passwords are noted by `accounts.signin.password_audit`: allauth is only one way to one.
"""

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from allauth.socialaccount import signals as social_signals
from django.dispatch import Signal
from django.http import HttpRequest

from accounts import audit
from accounts.models import User
from accounts.policy import Caller

_ACTIONS: dict[Signal, str] = {
    account_signals.email_changed: "email.change",
    mfa_signals.authenticator_added: "second_factor.add",
    mfa_signals.authenticator_removed: "second_factor.remove",
    mfa_signals.authenticator_reset: "second_factor.reset",
    social_signals.social_account_added: "provider.connect",
    social_signals.social_account_removed: "provider.disconnect",
}


def connect() -> None:
    """Listen to allauth; called once when the apps are ready."""
    for signal, action in _ACTIONS.items():
        signal.connect(_receiver(action), weak=False, dispatch_uid=f"audit:{action}")


def _receiver(action: str) -> Any:
    def receive(sender: Any, request: HttpRequest, **found: Any) -> None:
        user = _person(request, found)
        address = request.META.get("REMOTE_ADDR") or None
        kind = {"kind": found["authenticator"].type} if "authenticator" in found else {}
        audit.record(Caller(user, address=address), action, user, **kind)

    return receive


def _person(request: HttpRequest, found: dict[str, Any]) -> User:
    if "sociallogin" in found:
        person = found["sociallogin"].user
    elif "socialaccount" in found:
        person = found["socialaccount"].user
    else:
        person = found.get("user") or request.user
    assert isinstance(person, User)
    return person
