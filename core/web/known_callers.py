"""Whose a request is, before anybody has looked into the database.

A credential – the `Authorization` header of an API request, else the session's cookie – is a
stranger's until it was found to be somebody's; then it is remembered as that person's, beside all
their other tokens and logins. Only a digest is kept, in this process's memory. What a wrong entry
could do is to let a request wait in another line: rights are asked of the database each time.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

from django.conf import settings
from django.http import parse_cookie

# Credentials that are remembered, the latest used ones.
MOST_KNOWN = 20_000

_known: OrderedDict[bytes, int] = OrderedDict()
_lock = threading.Lock()


def credential_of(scope: MutableMapping[str, Any]) -> bytes | None:
    """The digest of what this request or handshake goes by; None for one that brings nothing."""
    by_header = scope["path"].startswith(("/api/", "/ws/"))
    secret = _values(scope, b"authorization") if by_header else b""
    secret = secret or _session(_values(scope, b"cookie"))
    return hashlib.sha256(secret).digest() if secret else None


def person_of(credential: bytes | None) -> int | None:
    """The person's id, if this credential was theirs when it was last looked at."""
    if credential is None:
        return None
    with _lock:
        person = _known.get(credential)
        if person is not None:
            _known.move_to_end(credential)
    return person


def note(credential: bytes, person: int | None) -> None:
    """Whose it was found to be; None for nobody's."""
    with _lock:
        if person is None:
            _known.pop(credential, None)
            return
        _known[credential] = person
        _known.move_to_end(credential)
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)


def forget() -> None:
    """Everything: for tests."""
    with _lock:
        _known.clear()


def _values(scope: MutableMapping[str, Any], name: bytes) -> bytes:
    """What all headers of this name say, put together as Django does."""
    between = b"; " if name == b"cookie" else b","
    return between.join(value for key, value in scope["headers"] if key == name)


def _session(cookies: bytes) -> bytes:
    found = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")
    return found.encode("latin-1", "replace")
