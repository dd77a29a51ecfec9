"""Names and passwords: one person is looked up, and exactly one password hash is computed.

allauth's own backend tries a login as user name and as address and checks a known person twice,
which can be heard from outside: a known address would answer later than an unknown one.
"""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.http import HttpRequest

from accounts.models import User


class OneCheck(AuthenticationBackend):
    """Logs in by user name or e-mail address; an unknown person costs a hash as well."""

    def _authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        name = credentials.get("username") or credentials.get("email") or ""
        person = _by_name(name)
        found: User | None = self._check_password(person, credentials["password"])
        return found


def _by_name(name: str) -> User | None:
    by_username: User | None = get_user_by_username(name) if name else None
    by_address = filter_users_by_email(name, prefer_verified=True, for_login=True) if name else []
    return by_username or (by_address[0] if by_address else None)
