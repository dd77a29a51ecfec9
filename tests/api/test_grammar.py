"""Every moment and every text of every operation of the API is of the shared grammar."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.access.cast import Cast, make_cast

_OUTSIDE = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "1999-12-31T23:59:59Z",
    "2100-01-01T00:00:01Z",
)
# Texts with a grammar of their own, whose bound is in bytes or is told by a sentence.
_OWN_GRAMMAR = {"command", "image", "conda_env"}


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def schema(cast: Cast) -> Any:
    return cast.api["superuser"].get("/api/v1/openapi.json").json()


def test_every_text_has_a_bound(schema: Any) -> None:
    unbounded = [
        f"{method} {path}: {name}"
        for path, method, name, kind, _ in _fields(schema)
        for one in _alternatives(schema, kind)
        if one.get("type") == "string"
        and not {"maxLength", "enum", "const", "format"} & one.keys()
        and name not in _OWN_GRAMMAR
    ]
    assert unbounded == []


def test_every_moment_lies_in_the_years_of_the_site(cast: Cast, schema: Any) -> None:
    tried, wrong = 0, []
    for path, method, name, kind, is_query in _fields(schema):
        if not any(one.get("format") == "date-time" for one in _alternatives(schema, kind)):
            continue
        for text in _OUTSIDE:
            tried += 1
            answer = _send(cast, path, method, {name: text}, is_query=is_query)
            blamed = [one["field"] for one in answer.json()["errors"]]
            if answer.status_code != 422 or name not in blamed:
                wrong.append(f"{method} {path} {name}={text}: {answer.status_code} {blamed}")
    assert tried > 50
    assert wrong == []


def test_no_text_of_a_query_holds_a_nul(cast: Cast, schema: Any) -> None:
    tried, wrong = 0, []
    for path, method, name, kind, is_query in _fields(schema):
        texts = [one for one in _alternatives(schema, kind) if one.get("type") == "string"]
        if not is_query or not texts:
            continue
        tried += 1
        answer = _send(cast, path, method, {name: "a\x00b"}, is_query=True)
        if answer.status_code != 422:
            wrong.append(f"{method} {path} {name}: {answer.status_code}")
    assert tried > 20
    assert wrong == []


def _send(cast: Cast, path: str, method: str, fields: Any, *, is_query: bool) -> Any:
    for name, value in cast.values.items():
        path = path.replace(f"{{{name}}}", str(value))
    client = cast.api["superuser"]
    if is_query:
        return client.generic(method, path, query_params=fields)
    return client.generic(method, path, json.dumps(fields), content_type="application/json")


def _fields(schema: Any) -> Iterator[tuple[str, str, str, Any, bool]]:
    """(path, method, name, JSON schema, whether it is of the query) of every field of a request."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for one in operation.get("parameters", []):
                if one["in"] == "query":
                    yield path, method.upper(), one["name"], one["schema"], True
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            properties = _resolved(schema, body.get("schema", {})).get("properties", {})
            for name, kind in properties.items():
                yield path, method.upper(), name, kind, False


def _resolved(schema: Any, kind: Any) -> Any:
    name = kind.get("$ref", "").rpartition("/")[2]
    return schema["components"]["schemas"][name] if name else kind


def _alternatives(schema: Any, kind: Any) -> Iterator[Any]:
    """The kinds that a field may be of, those of the items of a list among them."""
    kind = _resolved(schema, kind)
    for one in (*kind.get("anyOf", []), *kind.get("allOf", [])):
        yield from _alternatives(schema, one)
    if isinstance(kind.get("items"), dict):
        yield from _alternatives(schema, kind["items"])
    yield kind
