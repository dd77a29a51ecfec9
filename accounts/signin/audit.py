"""Changes to how a person logs in, written into the audit trail.

New passwords are noted by `accounts.signin.password_audit`: allauth is only one way to one.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from accounts import audit
from accounts.models import User
from accounts.policy import Caller

Receiver = Callable[..., None]


def _note(action: str) -> Receiver:
    """A receiver of one of allauth's signals."""

    def receive(sender: Any, request: HttpRequest, **found: Any) -> None:
        user = _person(request, found)
        address = request.META.get("REMOTE_ADDR") or None
        kind = {"kind": found["authenticator"].type} if "authenticator" in found else {}
        audit.record(Caller(user, address=address), action, user, **kind)

    return receive


note_email_change = _note("email.change")
note_factor_added = _note("second_factor.add")
note_factor_removed = _note("second_factor.remove")
note_factor_reset = _note("second_factor.reset")
note_provider_connected = _note("provider.connect")
note_provider_disconnected = _note("provider.disconnect")


def _person(request: HttpRequest, found: dict[str, Any]) -> User:
    if "sociallogin" in found:
        person = found["sociallogin"].user
    elif "socialaccount" in found:
        person = found["socialaccount"].user
    else:
        person = found.get("user") or request.user
    assert isinstance(person, User)
    return person
