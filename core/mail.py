"""One `EMAIL_URL` in the form that Django wants."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_PORTS = {"smtp": 25, "submission": 587, "smtps": 465}
# A mail server that hangs costs a request at most this long.
_TIMEOUT_SECONDS = 10
_NONE = "django.core.mail.backends.dummy.EmailBackend"


def sends_mail() -> bool:
    """Whether this site sends mail at all; pages say so where it does not."""
    return settings.EMAIL_BACKEND != _NONE


def mail_settings(url: str) -> dict[str, Any]:
    """The `EMAIL_…` settings of an address; nothing is sent without one.

    `smtp://` speaks plainly, `submission://` begins with STARTTLS, `smtps://` with TLS.
    `?from=` is the sender. Raises `ImproperlyConfigured` for anything else.
    """
    if not url:
        return {"EMAIL_BACKEND": _NONE}
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL is smtp://, submission:// or smtps:// and a host")
    found: dict[str, Any] = {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or _PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "submission",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": _TIMEOUT_SECONDS,
    }
    if sender := parse_qs(parts.query).get("from"):
        found["DEFAULT_FROM_EMAIL"] = found["SERVER_EMAIL"] = sender[0]
    return found
