"""Every new password is a row of the audit, whichever way it came: page, admin, mail or command.

Asked of the model when it is saved, so that no way can be forgotten. A hash that is only renewed at
a login, because its parameters were raised, is no new password.
"""

from typing import Any

from allauth.core import context
from django.contrib.auth.hashers import is_password_usable
from django.http import HttpRequest

from accounts import audit
from accounts.models import User
from accounts.policy import Caller


def note_new_password(
    sender: Any, instance: User, update_fields: Any = None, **kwargs: Any
) -> None:
    """Write into the audit trail that a person who is about to be saved has a new password."""
    if instance._state.adding or (update_fields is not None and "password" not in update_fields):
        return
    before = User.objects.filter(pk=instance.pk).values_list("password", flat=True).first()
    typed = getattr(instance, "_password", None)  # Django's, until the row is saved
    is_renewed_hash = typed is None and is_password_usable(instance.password)
    if before is None or before == instance.password or is_renewed_hash:
        return
    caller, action = _who(context.request, instance, before)
    audit.record(caller, action, instance)


def _who(request: HttpRequest | None, person: User, before: str) -> tuple[Caller | None, str]:
    """Who sets it, and the name of what they do; nobody is there behind a command."""
    if request is None:
        return None, "password.set"
    address = request.META.get("REMOTE_ADDR") or None
    if not isinstance(request.user, User):
        return Caller(person, address=address), "password.reset"
    is_own = request.user.pk == person.pk and is_password_usable(before)
    return Caller(request.user, address=address), "password.change" if is_own else "password.set"
