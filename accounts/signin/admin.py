"""What Django's admin shows of other packages: nothing, but a way in for who lost their phone."""

from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts import audit
from accounts.auth.callers import caller_from_page
from accounts.models import User

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[User]
else:
    _Base = object

# Seeds, session keys and tokens of providers: no page needs to show them.
_SIGN_IN = (Authenticator, SocialAccount, SocialApp, SocialToken, UserSession)
# A form that calls any task by its name would be a door beside the policy.
_CLOCK = (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule)


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
    """Take other packages' rows out of the admin; let people in by the site's own login only."""
    for model in (*_SIGN_IN, *_CLOCK):
        site.unregister(model)
    site.login = secure_admin_login(site.login)
