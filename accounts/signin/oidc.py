"""Logging in through the organisation's own OpenID Connect provider, when one is configured.

A person is known by the provider's own identifier once the two are connected. The first time they
are connected by e-mail address, if the provider has verified it: addresses of accounts here are
typed by an administrator or verified themselves (`accounts.signin.email_address`).
"""

from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount import app_settings
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.openid_connect import views as allauth_views
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods
from requests.exceptions import RequestException

from accounts.models import User
from core.web.waiting import outside_database

# The provider answers nonsense, or not at all.
_BROKEN = (RequestException, KeyError, ValueError, TypeError)


class Provider(DefaultSocialAccountAdapter):
    """allauth's hooks for people who come from a provider."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> Any:
        """The provider of the settings; rows of the database could add some and are not read."""
        apps = []
        for kind, configured in app_settings.PROVIDERS.items():
            apps += [SocialApp(provider=kind, **fields) for fields in configured.get("APPS", ())]
        return [
            app
            for app in apps
            if provider in {None, app.provider, app.provider_id}
            and client_id in {None, app.client_id}
        ]

    def get_requests_session(self) -> Any:
        """How the provider is asked: each question has a deadline, and holds no connection."""
        session = super().get_requests_session()
        session.request = outside_database()(session.request)
        return session

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> Any:
        """A newcomer's own address is the one that the provider has verified, or none."""
        user = super().populate_user(request, sociallogin, data)
        if user.email.lower() not in _verified(sociallogin):
            user.email = ""
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Connect a newcomer with the account here that has the same verified address."""
        told = sociallogin.email_addresses
        sociallogin.email_addresses = [address for address in told if address.verified]
        is_login = sociallogin.state.get("process", "login") == "login"
        if sociallogin.is_existing or not is_login:
            return
        if (person := _person_with(_verified(sociallogin))) is not None:
            sociallogin.connect(request, person)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Newcomers get an account without any rights if the settings say so."""
        known = [User.objects.filter(email__iexact=one) for one in _verified(sociallogin)]
        return bool(settings.OIDC_SIGNUP) and not any(found.exists() for found in known)


@require_http_methods(["GET", "POST"])
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """To the provider, by way of a page of ours.

    A form that is answered with a redirect to another site is stopped by our own policy
    (`form-action`), and rightly; a page may send people on.
    """
    response = _guarded(request, provider_id, allauth_views.login)
    target = response.headers.get("Location", "")
    if urlsplit(target).netloc:
        name = Provider(request).get_app(request, provider_id).name
        return render(request, "socialaccount/leave.html", {"target": target, "name": name})
    return response


@require_http_methods(["GET"])
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the provider."""
    return _guarded(request, provider_id, allauth_views.callback)


def _guarded(request: HttpRequest, provider_id: str, view: Any) -> HttpResponse:
    try:
        response: HttpResponse = view(request, provider_id)
    except _BROKEN as error:
        return _failed(request, provider_id, error)
    return response


def _failed(request: HttpRequest, provider_id: str, error: Exception) -> HttpResponse:
    try:
        provider = Provider(request).get_provider(request, provider_id)
    except SocialApp.DoesNotExist as missing:
        raise Http404 from missing
    response: HttpResponse = render_authentication_error(request, provider, exception=error)
    return response


def _verified(sociallogin: SocialLogin) -> set[str]:
    return {address.email.lower() for address in sociallogin.email_addresses if address.verified}


def _person_with(addresses: set[str]) -> User | None:
    found = [user for one in addresses for user in User.objects.filter(email__iexact=one)[:2]]
    return found[0] if len(found) == 1 and found[0].is_active else None
