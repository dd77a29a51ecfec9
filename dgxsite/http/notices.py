"""Where a notice waits between the request that makes it and the page that shows it.

A signed cookie, and not the session: a stranger's failed login would otherwise store a row.
"""

from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage


class Cookie(CookieStorage):
    """Behind https the cookie is bound to this one host, as those of login and CSRF are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cookie_name = "__Host-messages" if settings.HTTPS else "messages"
