"""The site's REST API over the standard library: one request, JSON both ways, errors as sentences.

What may be repeated is: a GET, and a POST with its `Idempotency-Key`, which the site answers once.
Redirects are not followed: they would carry the token elsewhere.
"""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from dgxsite_client.errors import Refused, Unreachable
from dgxsite_client.settings import Settings

_TIMEOUT_SECONDS = 30.0
# Pauses before the second try, the third …
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)
_AGAIN = frozenset({429, 502, 503, 504})
_PAGE = 500


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Api:
    """Requests below `/api/v1` with one token."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(_Stay)

    def get(self, path: str, **query: Any) -> Any:
        """Raises `Refused`, `Unreachable`."""
        asked = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", path + (f"?{urlencode(asked)}" if asked else ""), None, {})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One effect, however often it had to be sent."""
        data = None if body is None else json.dumps(body).encode()
        return self._send("POST", path, data, {"Idempotency-Key": str(uuid.uuid4())})

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page."""
        offset = 0
        while True:
            page = self.get(path, limit=_PAGE, offset=offset, **query)
            yield from page["items"]
            offset += len(page["items"])
            if not page["items"] or offset >= page["count"]:
                return

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Any:
        for pause in PAUSES_SECONDS:
            try:
                return self._once(method, path, data, headers)
            except Unreachable:
                time.sleep(pause)
            except Refused as error:
                if error.status not in _AGAIN:
                    raise
                time.sleep(pause)
        return self._once(method, path, data, headers)

    def _once(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Any:
        every = {
            "Authorization": f"Bearer {self._settings.token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        url = f"{self._settings.url}/api/v1{path}"
        request = urllib.request.Request(url, data, every | headers, method=method)  # noqa: S310 (settings.py lets pass http and https alone)
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(_sentence(error), error.code) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{self._settings.url} does not answer: {reason}") from None
        except ValueError:
            raise Unreachable(
                f"{self._settings.url} does not answer in JSON; is it the site?"
            ) from None


def _sentence(error: urllib.error.HTTPError) -> str:
    """What the problem says (RFC 9457), with the fields that it blames."""
    try:
        problem = json.loads(error.read())
        fields = [f"{one['field']}: {one['message']}" for one in problem.get("errors") or ()]
        return "; ".join(fields) or problem.get("detail") or problem["title"]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, HTTPException):
        return f"The site answers {error.code} {error.reason}."
