"""`EMAIL_URL` becomes Django's settings."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.mail import mail_settings


def test_sends_nothing_without_an_address() -> None:
    assert mail_settings("")["EMAIL_BACKEND"].endswith("dummy.EmailBackend")


def test_reads_every_part() -> None:
    found = mail_settings("submission://me%40x:p%2Fw@mail.example.org?from=dgx@example.org")
    assert found["EMAIL_HOST"] == "mail.example.org"
    assert found["EMAIL_PORT"] == 587
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("me@x", "p/w")
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (True, False)
    assert found["DEFAULT_FROM_EMAIL"] == "dgx@example.org"


@pytest.mark.parametrize("url", ["mail.example.org", "http://mail.example.org", "smtp://"])
def test_refuses_what_is_no_mail_server(url: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        mail_settings(url)
