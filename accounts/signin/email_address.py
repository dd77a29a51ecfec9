"""One e-mail address per person. An administrator types it, or the person changes it and the new
one counts once it has been verified.

An address that nobody vouched for would open somebody else's account: password resets go there,
and a provider's person is connected by it. allauth keeps addresses in rows of its own; `vouch`
holds them to what stands with the person.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.views import EmailView
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator

from accounts.models import User
from core.mail import sends_mail

_ALLOWED = {"action_add", "action_send", "action_remove"}


@method_decorator(login_required, name="dispatch")
class ChangeAddress(EmailView):
    """The page that changes it; where no mail is sent, an administrator does."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        assert isinstance(request.user, User)
        vouch(request.user)
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not sends_mail() or not _ALLOWED & request.POST.keys():
            return redirect("account_email")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


def vouch(user: User) -> None:
    """Make the person's address the only verified one; an address of somebody else stays theirs."""
    address = user.email.lower()
    rows = EmailAddress.objects.filter(user=user)
    rows.filter(verified=True).exclude(email=address).delete()
    taken = EmailAddress.objects.filter(email=address, verified=True).exclude(user=user).exists()
    if address and not taken and not rows.filter(email=address, verified=True).exists():
        EmailAddress.objects.update_or_create(
            user=user, email=address, defaults={"verified": True, "primary": True}
        )


def follow_change(
    sender: Any, instance: User, created: bool, update_fields: Any = None, **kwargs: Any
) -> None:
    """Make the address that was just saved with a person their only verified one."""
    # allauth makes the first row itself, of a newcomer whom a provider sends.
    if not created and (update_fields is None or "email" in update_fields):
        vouch(instance)
