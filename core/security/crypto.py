"""Secrets at rest: encrypted with the newest key, readable with every configured key.

A token is bound to a context such as `connections.connection/<id>/password`; a ciphertext that was
copied into another row or field does not open there.
"""

import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class SecretUnreadable(Exception):
    """The ciphertext belongs to another row, another field or a key that is gone."""


class OtherContext(SecretUnreadable):
    """A key opens it, but it was encrypted for another context."""


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "DGX_ENCRYPTION_KEYS: each key is 32 bytes in URL-safe base64"
        ) from error


def _box() -> MultiFernet:
    return _fernet(tuple(settings.ENCRYPTION_KEYS))


def encrypt(value: str, context: str) -> str:
    """Ciphertext of `value`, to be opened with the same `context` only."""
    return _box().encrypt(json.dumps([context, value]).encode()).decode()


def decrypt(token: str, context: str) -> str:
    """The value; `SecretUnreadable` when no key opens it, `OtherContext` for another context."""
    try:
        stored_context, value = json.loads(_box().decrypt(token.encode()))
    except InvalidToken as error:
        raise SecretUnreadable(context) from error
    if stored_context != context:
        raise OtherContext(context)
    return str(value)


def rotate(token: str, context: str) -> str:
    """The same secret under the newest key."""
    return encrypt(decrypt(token, context), context)
