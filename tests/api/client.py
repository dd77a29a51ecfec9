"""A small client for the REST API that tests read like a script of a user."""

import json
from typing import TYPE_CHECKING, Any

from django.test import Client

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer


class Api:
    """Requests below `/api/v1` with one token; `token` None is a stranger from outside."""

    def __init__(self, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = Client(headers=headers, raise_request_exception=False)

    def get(self, path: str, **query: Any) -> "Answer":
        return self._client.get(f"/api/v1{path}", query)

    def post(self, path: str, body: Any = None, **headers: str) -> "Answer":
        return self._send("post", path, body, headers)

    def patch(self, path: str, body: Any) -> "Answer":
        return self._send("patch", path, body, {})

    def delete(self, path: str) -> "Answer":
        return self._client.delete(f"/api/v1{path}")

    def raw(self, path: str, body: bytes, content_type: str = "application/json") -> "Answer":
        return self._client.post(f"/api/v1{path}", data=body, content_type=content_type)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> "Answer":
        send = getattr(self._client, method)
        data = "" if body is None else json.dumps(body)
        answer: Answer = send(
            f"/api/v1{path}", data, content_type="application/json", headers=headers
        )
        return answer


def fields_of(answer: "Answer") -> set[str]:
    """The fields that a problem blames."""
    return {error["field"] for error in answer.json()["errors"]}
