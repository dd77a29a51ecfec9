"""A running site with a browser, an OpenID Connect provider, and the codes of an app."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.mail import EmailMessage

from dgxsite import sign_in
from tests.browser.conftest import browser, fleet, site, static_root, visit
from tests.signin import provider

__all__ = ["browser", "fleet", "site", "static_root", "visit"]

_PERIOD = 30


@pytest.fixture
def oidc(settings: Any) -> Iterator[provider.State]:
    """The provider, with the site set up for it."""
    with provider.running() as state:
        settings.SOCIALACCOUNT_PROVIDERS = sign_in.provider(
            state.issuer, provider.CLIENT_ID, provider.CLIENT_SECRET, "Lab login"
        )
        yield state


def code_of_app(secret: str) -> str:
    """What the app shows now; waits if it is about to change, so that the code arrives in time."""
    left = _PERIOD - time.time() % _PERIOD
    if left < 6:
        time.sleep(left)
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // _PERIOD)))


@pytest.fixture
def letters() -> Callable[[int], list[EmailMessage]]:
    """The mail that was sent, once it is that many: it leaves on a thread of its own."""

    def wait(count: int) -> list[EmailMessage]:
        deadline = time.monotonic() + 10
        while len(mail.outbox) < count:
            assert time.monotonic() < deadline, f"{len(mail.outbox)} letters, expected {count}"
            time.sleep(0.02)
        return list(mail.outbox)

    return wait
