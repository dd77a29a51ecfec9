"""What Django's admin shows of allauth: nothing, except a way back in for who lost their phone."""

from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.authentication import caller_from_page
from accounts.models import User

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[User]
else:
    _Base = object

# Seeds, session keys and tokens of providers: no page needs to show them.
_HIDDEN = (Authenticator, SocialAccount, SocialApp, SocialToken, UserSession)


class WayBackIn(_Base):
    """For the admin of people: take a lost second factor away."""

    @admin.action(description="Remove second factors and passkeys", permissions=["change"])
    def remove_second_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        caller = caller_from_page(request)
        if not caller.user.is_superuser:
            self.message_user(request, "Only a superuser does this.", messages.ERROR)
            return
        with transaction.atomic():
            for person in queryset:
                audit.record(caller, "second_factor.remove", person, kind="all")
                Authenticator.objects.filter(user=person).delete()
        self.message_user(request, "They log in with the password alone now.")


def tidy(site: Any) -> None:
    """Take allauth's rows out of the admin, and let people in by the site's own login only."""
    for model in _HIDDEN:
        site.unregister(model)
    site.login = secure_admin_login(site.login)
