"""Logging in through a real OpenID Connect provider, and everything that may be wrong with it."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts.models import Role, User
from accounts.policy import Caller
from accounts.teams import invitations
from dgxsite import sign_in
from tests import factories
from tests.signin.provider import State

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

ADA = {"sub": "s-1", "email": "ada@example.org", "email_verified": True, "name": "Ada L"}


def come_back(client: Client, process: str = "login") -> Any:
    """To the provider and back, as a browser would go."""
    page = client.post(f"/accounts/oidc/sso/login/?process={process}")
    target = page.context["target"]
    go = requests.get(target.replace("/authorize?", "/go?"), allow_redirects=False, timeout=5)
    back = urlsplit(go.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def person_of(client: Client) -> str:
    return str(client.get("/account/").context["user"].username)


def test_person_with_the_same_verified_address_is_connected(oidc: State) -> None:
    user = factories.make_user("ada", email="Ada@example.org")
    oidc.person = ADA
    client = Client()
    assert come_back(client).headers["Location"] == "/"
    assert person_of(client) == "ada"
    assert SocialAccount.objects.get().user == user
    user.refresh_from_db()
    assert user.check_password("password")
    assert oidc.asked[0]["code_challenge_method"] == "S256"


def test_account_that_an_invitation_made_in_somebodys_name_is_not_theirs(oidc: State) -> None:
    boss, team = factories.make_user("boss"), factories.make_team()
    factories.join(boss, team, Role.ADMINISTRATOR)
    _, secret = invitations.create(Caller(boss), team.pk, Role.VIEWER, "ada@example.org")
    invitations.accept_as_new(secret, "trap", "a-long-Passw0rd-x", None)
    oidc.person = ADA
    client = Client()
    come_back(client)
    assert not SocialAccount.objects.exists()
    assert client.get("/account/").status_code == 302


def test_connected_person_comes_in_by_identifier_alone(oidc: State) -> None:
    factories.make_user("ada", email="ada@example.org")
    oidc.person = ADA
    come_back(Client())
    oidc.person = {"sub": "s-1", "email": "married@example.org", "email_verified": True}
    client = Client()
    come_back(client)
    assert person_of(client) == "ada"


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email_verified": None}, {}])
def test_unverified_address_opens_nobodys_account(oidc: State, claims: dict[str, Any]) -> None:
    factories.make_user("ada", email="ada@example.org")
    oidc.person = {"sub": "evil", "email": "ada@example.org"} | claims
    client = Client()
    assert "made by an administrator" in come_back(client).content.decode()
    assert client.get("/account/").status_code == 302
    assert not SocialAccount.objects.exists()


def test_person_who_is_switched_off_stays_out(oidc: State) -> None:
    user = factories.make_user("ada", email="ada@example.org")
    oidc.person = ADA
    come_back(Client())
    User.objects.filter(pk=user.pk).update(is_active=False)
    client = Client()
    come_back(client)
    assert client.get("/account/").status_code == 302


def test_stranger_gets_no_account_unless_the_setting_says_so(oidc: State, settings: Any) -> None:
    oidc.person = ADA | {"preferred_username": "ada"}
    assert "made by an administrator" in come_back(Client()).content.decode()
    assert not User.objects.exists()
    settings.OIDC_SIGNUP = True
    client = Client()
    come_back(client)
    user = User.objects.get()
    assert (user.username, user.email, user.memberships.count()) == ("ada", "ada@example.org", 0)
    assert not any((user.is_staff, user.is_superuser, user.has_usable_password()))
    assert person_of(client) == "ada"


def test_newcomer_brings_no_unverified_address_along(oidc: State, settings: Any) -> None:
    settings.OIDC_SIGNUP = True
    oidc.person = {"sub": "s-2", "email": "boss@example.org", "preferred_username": "eve"}
    come_back(Client())
    assert User.objects.get().email == ""


def test_taken_name_gets_another_and_takes_nothing_over(oidc: State, settings: Any) -> None:
    settings.OIDC_SIGNUP = True
    factories.make_user("root", is_superuser=True)
    oidc.person = {"sub": "s-2", "preferred_username": "root"}
    client = Client()
    come_back(client)
    assert person_of(client) != "root"
    assert User.objects.filter(is_superuser=True).count() == 1


def test_logged_in_person_connects_and_disconnects(oidc: State) -> None:
    factories.make_user("ada")
    oidc.person = {"sub": "s-9", "email": "private@example.org"}
    client = Client()
    client.post("/accounts/login/", {"login": "ada", "password": "password"})
    client.post("/accounts/reauthenticate/", {"password": "password"})
    come_back(client, "connect")
    account = SocialAccount.objects.get()
    assert account.user.username == "ada"
    client.post("/accounts/3rdparty/", {"account": account.pk})
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("broken", ["/.well-known/openid-configuration", "/token", "/userinfo"])
def test_provider_that_talks_nonsense_is_an_answer_not_a_fault(oidc: State, broken: str) -> None:
    factories.make_user("ada", email="ada@example.org")
    oidc.person = ADA
    client = Client()
    if broken == "/.well-known/openid-configuration":
        oidc.broken = broken
        answer = client.post("/accounts/oidc/sso/login/")
    else:
        oidc.broken = broken
        answer = come_back(client)
    assert answer.status_code == 401
    assert "no usable answer" in answer.content.decode()
    assert client.get("/account/").status_code == 302


def test_provider_that_is_away_is_an_answer_not_a_fault(settings: Any) -> None:
    settings.SOCIALACCOUNT_PROVIDERS = sign_in.provider("http://127.0.0.1:1", "id", "secret", "Lab")
    answer = Client().post("/accounts/oidc/sso/login/")
    assert "no usable answer" in answer.content.decode()


def test_ticket_for_somebody_elses_site_is_refused(oidc: State) -> None:
    factories.make_user("ada", email="ada@example.org")
    oidc.person, oidc.audience = ADA, "another-site"
    client = Client()
    assert come_back(client).status_code == 401
    assert client.get("/account/").status_code == 302


def test_callback_that_nobody_asked_for_is_refused(oidc: State) -> None:
    for query in ("", "?code=x", "?code=x&state=y", "?error=access_denied"):
        answer = Client().get(f"/accounts/oidc/sso/login/callback/{query}")
        assert answer.status_code == 401


def test_person_who_says_no_is_told(oidc: State) -> None:
    oidc.refuses = True
    answer = come_back(Client())
    assert answer.headers["Location"] == "/accounts/3rdparty/login/cancelled/"


def test_second_factor_of_this_site_is_asked_all_the_same(oidc: State, settings: Any) -> None:
    settings.REQUIRE_MFA = True
    factories.make_user("ada", email="ada@example.org", is_superuser=True)
    oidc.person = ADA
    client = Client()
    come_back(client)
    assert client.get("/").headers["Location"] == "/accounts/2fa/"


def test_rows_of_the_database_add_no_provider() -> None:
    SocialApp.objects.create(
        provider="openid_connect", provider_id="evil", name="Evil", client_id="x"
    )
    assert "Evil" not in Client().get("/accounts/login/").content.decode()
    assert Client().post("/accounts/oidc/evil/login/").status_code == 404


def test_without_settings_there_is_no_provider() -> None:
    assert "Log in with" in Client().get("/accounts/login/").content.decode()
    assert Client().post("/accounts/oidc/sso/login/").status_code == 404
    assert Client().get("/accounts/oidc/sso/login/callback/").status_code == 404


def test_login_needs_our_own_page(oidc: State) -> None:
    assert Client(enforce_csrf_checks=True).post("/accounts/oidc/sso/login/").status_code == 403


def test_half_a_provider_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGX_OIDC_ISSUER", "https://login.example.org")
    with pytest.raises(ImproperlyConfigured, match="DGX_OIDC_CLIENT_ID"):
        sign_in.provider_settings()


@pytest.mark.parametrize(("idle", "whole"), [("0", "1"), ("-1", "5"), ("10", "9"), ("x", "9")])
def test_odd_session_limits_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, idle: str, whole: str
) -> None:
    monkeypatch.setenv("DGX_SESSION_IDLE_HOURS", idle)
    monkeypatch.setenv("DGX_SESSION_MAX_HOURS", whole)
    with pytest.raises(ImproperlyConfigured, match="DGX_SESSION_IDLE_HOURS"):
        sign_in.session_seconds()
