"""The ways in, each in a real browser: password, app, passkey, provider, and what stands between.

Passkeys come from Chromium's own virtual authenticator. Every page on the way is read by axe at
both widths, in its states with errors too.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.signin import setup
from tests import factories
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check
from tests.signin import provider
from tests.signin.conftest import code_of_app

Visit = Callable[..., Visitor]

pytestmark = pytest.mark.timeout(300)
WIDTHS = pytest.mark.parametrize("width", [1280, 360])


class Reader:
    """Reads every page that it is shown; at the end nothing may have been found."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.found: dict[str, object] = {}

    def read(self, page: Page, state: str) -> None:
        expect(page.locator("h1")).to_be_visible()
        check(page, state, self.width, self.found)


@pytest.fixture
def reader(width: int) -> Iterator[Reader]:
    reader = Reader(width)
    yield reader
    assert reader.found == {}


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def give_password(page: Page) -> None:
    page.get_by_label("Password").fill("password")
    press(page, "Go on")


def add_virtual_authenticator(visitor: Visitor) -> Any:
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


@WIDTHS
def test_password_and_app(visit: Visit, fleet: Fleet, reader: Reader, width: int) -> None:
    visitor = visit(width)
    page = visitor.log_in("boss")
    visitor.open("/account/")
    page.get_by_role("link", name="Second factor and passkeys").click()
    reader.read(page, "second factor: none")
    page.get_by_role("link", name="Set up an app").click()
    reader.read(page, "is it you")
    page.get_by_label("Password").fill("not it")
    press(page, "Go on")
    reader.read(page, "is it you: wrong")
    give_password(page)
    reader.read(page, "app")
    page.get_by_label("code").fill("000000")
    press(page, "Set up")
    reader.read(page, "app: wrong code")
    page.get_by_text("No camera at hand?").click()
    secret = page.locator("#authenticator_secret").text_content()
    assert secret
    page.get_by_label("code").fill(code_of_app(secret))
    press(page, "Set up")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    reader.read(page, "recovery codes")
    page.get_by_role("link", name="Make new ones").click()
    reader.read(page, "new recovery codes")
    visitor.open("/accounts/2fa/")
    reader.read(page, "second factor: app")
    page.get_by_role("link", name="Remove the app").click()
    reader.read(page, "remove the app")
    visitor.context.clear_cookies()
    visitor.open("/accounts/login/")
    page.get_by_label("User name or e-mail").fill("boss")
    page.get_by_label("Password").fill("password")
    press(page, "Log in")
    reader.read(page, "second step")
    page.get_by_label("Code from the app").fill("000000")
    press(page, "Log in")
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    reader.read(page, "second step: wrong code")
    # A code counts once; setting the app up may have been in the same half minute.
    cache.clear()
    page.get_by_label("Code from the app").fill(code_of_app(secret))
    press(page, "Log in")
    page.wait_for_url(visitor.site + "/")


@WIDTHS
def test_passkey_alone(visit: Visit, fleet: Fleet, reader: Reader, width: int) -> None:
    visitor = visit(width)
    page = visitor.log_in("boss")
    add_virtual_authenticator(visitor)
    visitor.open("/accounts/2fa/webauthn/add/")
    give_password(page)
    reader.read(page, "new passkey")
    page.get_by_label("Name").fill("Laptop")
    press(page, "Add")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    visitor.open("/accounts/2fa/webauthn/")
    expect(page.get_by_text("logs in alone")).to_be_visible()
    reader.read(page, "passkeys")
    page.get_by_role("link", name="Rename Laptop").click()
    reader.read(page, "rename")
    visitor.open("/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove Laptop").click()
    reader.read(page, "remove passkey")
    boss = User.objects.get(username="boss")
    boss.set_unusable_password()
    boss.save()
    visitor.context.clear_cookies()
    visitor.open("/accounts/login/")
    press(page, "Log in with a passkey")
    page.wait_for_url(visitor.site + "/")
    visitor.open("/accounts/2fa/webauthn/add/")
    reader.read(page, "is it you: recovery code")
    page.get_by_role("link", name="Use a passkey").click()
    reader.read(page, "is it you: passkey")
    press(page, "Use a passkey")
    expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()


def test_passkey_as_second_step(visit: Visit, fleet: Fleet) -> None:
    visitor = visit()
    page = visitor.log_in("boss")
    add_virtual_authenticator(visitor)
    visitor.open("/accounts/2fa/webauthn/add/")
    give_password(page)
    press(page, "Add")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    visitor.context.clear_cookies()
    visitor.open("/accounts/login/")
    page.get_by_label("User name or e-mail").fill("boss")
    page.get_by_label("Password").fill("password")
    press(page, "Log in")
    press(page, "Use a passkey")
    page.wait_for_url(visitor.site + "/")


@WIDTHS
def test_passkey_that_is_not_there_is_told(
    visit: Visit, fleet: Fleet, reader: Reader, width: int
) -> None:
    visitor = visit(width)
    session = add_virtual_authenticator(visitor)
    page = visitor.open("/accounts/login/")
    press(page, "Log in with a passkey")
    expect(page.get_by_role("alert")).to_contain_text("no passkey of yours")
    reader.read(page, "login: no passkey")
    session.detach()


@WIDTHS
def test_provider(
    visit: Visit, fleet: Fleet, oidc: provider.State, reader: Reader, width: int
) -> None:
    User.objects.filter(username="boss").update(email="boss@example.org")
    oidc.person = {"sub": "7", "email": "boss@example.org", "email_verified": True}
    visitor = visit(width)
    page = visitor.open("/accounts/login/?next=/account/")
    reader.read(page, "login")
    press(page, "Log in with Lab login")
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url(visitor.site + "/account/")
    page.get_by_role("link", name="Connected accounts").click()
    reader.read(page, "connected accounts")
    visitor.context.clear_cookies()
    oidc.person = {"sub": "8", "email": "stranger@example.org", "email_verified": True}
    visitor.open("/accounts/login/")
    press(page, "Log in with Lab login")
    page.get_by_role("link", name="Continue").click()
    reader.read(page, "provider: no account")
    oidc.refuses = True
    visitor.open("/accounts/oidc/sso/login/")
    reader.read(page, "provider: really?")
    press(page, "Go on")
    page.get_by_role("link", name="Continue").click()
    reader.read(page, "provider: cancelled")
    oidc.broken = "/.well-known/openid-configuration"
    visitor.open("/accounts/oidc/sso/login/")
    press(page, "Go on")
    reader.read(page, "provider: broken")
    visitor.forgive("401")


@WIDTHS
def test_other_sessions_are_ended(visit: Visit, fleet: Fleet, reader: Reader, width: int) -> None:
    here, there = visit(width), visit(width)
    page = here.log_in("boss")
    there.log_in("boss")
    here.open("/account/")
    page.get_by_role("link", name="Sessions").click()
    reader.read(page, "sessions: two")
    press(page, "Log out everywhere else")
    expect(page.get_by_text("You are logged out everywhere else.")).to_be_visible()
    reader.read(page, "sessions: one")
    there.open("/account/")
    expect(there.page.get_by_role("heading", name="Log in")).to_be_visible()


@WIDTHS
def test_lock_out_shows_the_minutes(visit: Visit, fleet: Fleet, reader: Reader, width: int) -> None:
    page = visit(width).open("/accounts/login/")
    for _ in range(6):
        page.get_by_label("User name or e-mail").fill("boss")
        page.get_by_label("Password").fill("not it")
        press(page, "Log in")
    expect(page.get_by_role("alert")).to_have_text(
        re.compile(r"Too many wrong attempts\. Try again in [45] minutes\.")
    )
    reader.read(page, "login: locked")


@WIDTHS
def test_forgotten_password(
    visit: Visit, fleet: Fleet, letters: Any, reader: Reader, width: int
) -> None:
    boss = User.objects.get(username="boss")
    boss.email = "boss@example.org"
    boss.save()
    visitor = visit(width)
    page = visitor.open("/accounts/login/")
    page.get_by_role("link", name="Forgot the password?").click()
    reader.read(page, "forgotten")
    page.get_by_label("Email").fill("boss@example.org")
    press(page, "Send the link")
    reader.read(page, "forgotten: sent")
    (letter,) = letters(1)
    link = re.search(r"http://\S+/password/reset/key/\S+", str(letter.body))
    assert link is not None
    page.goto(link[0])
    reader.read(page, "new password")
    for text, state in (("short", "new password: short"), ("quite-another-77", "done")):
        for field in page.locator("input[type=password]").all():
            field.fill(text)
        press(page, "Save")
        reader.read(page, state)
    page.goto(link[0])
    reader.read(page, "new password: link used")
    visitor.open("/accounts/login/")
    page.get_by_label("User name or e-mail").fill("boss")
    page.get_by_label("Password").fill("quite-another-77")
    press(page, "Log in")
    page.wait_for_url(visitor.site + "/")


@WIDTHS
def test_required_second_factor_comes_before_anything_else(
    visit: Visit, fleet: Fleet, settings: Any, reader: Reader, width: int
) -> None:
    settings.REQUIRE_MFA = True
    visitor = visit(width)
    add_virtual_authenticator(visitor)
    page = visitor.open("/accounts/login/")
    page.get_by_label("User name or e-mail").fill("boss")
    page.get_by_label("Password").fill("password")
    press(page, "Log in")
    expect(page.get_by_text("Your role needs a second factor")).to_be_visible()
    reader.read(page, "second factor: required")
    page.get_by_role("link", name="Add a passkey").click()
    give_password(page)
    press(page, "Add")
    page.get_by_role("link", name="Done").click()
    visitor.open("/")
    expect(page.get_by_role("heading", name="Machines", exact=True)).to_be_visible()


@WIDTHS
def test_remaining_pages_of_the_login(
    visit: Visit, fleet: Fleet, settings: Any, reader: Reader, width: int
) -> None:
    visitor = visit(width)
    for path in ("signup/", "inactive/", "password/reset/key/1-x/", "confirm-email/x/"):
        visitor.open(f"/accounts/{path}")
        reader.read(visitor.page, path)
    visitor.log_in("boss")
    for path in ("email/", "password/change/", "logout/"):
        visitor.open(f"/accounts/{path}")
        reader.read(visitor.page, path)
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    for path in ("email/", "password/reset/"):
        visitor.open(f"/accounts/{path}")
        reader.read(visitor.page, f"{path}: no mail")
    assert mail.outbox == []


def test_first_administrator_through_the_link(visit: Visit, site: str) -> None:
    token = setup.prepare()
    visitor = visit()
    page = visitor.open(f"/setup/{token}")
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password").fill("long-enough-77")
    page.get_by_label("The same again").fill("long-enough-77")
    press(page, "Create the account")
    page.wait_for_url(visitor.site + "/")
    assert User.objects.get().is_superuser
    visitor.open(f"/setup/{token}")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    visitor.forgive("404")


def test_login_works_without_script(visit: Visit, fleet: Fleet) -> None:
    factories.make_user("ada")
    page = visit(java_script=False).log_in("ada")
    expect(page.get_by_role("heading", name="Machines", exact=True)).to_be_visible()
