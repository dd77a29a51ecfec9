"""`openapi.json` is true: what is sent and answered is what it says, also what is refused."""

import json
import logging
import os
import re
from datetime import datetime
from typing import Any

import jsonschema
import orjson
import pytest
import redis

from core import errors, problems
from dgxsite.api import api
from dgxsite.openapi import EXAMPLES
from tests.access.cast import Cast, make_cast
from tests.api import walk

_FORMATS = jsonschema.FormatChecker(formats=("uuid",))
# An export that is done, a job that waits, a project whose job waits.
_IN_ANOTHER_STATE = {"cancel_export: 409", "retry_job: 409", "delete_project: 409"}


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(text: object) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


@pytest.fixture(scope="module")
def schema() -> Any:
    return api.get_openapi_schema()


@pytest.fixture
def cast(db: None, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture) -> Cast:
    caplog.set_level(logging.CRITICAL)
    made = make_cast()
    walk.furnish(made, redis_client)
    return made


def operations(schema: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def complaints(schema: Any, part: Any, value: Any) -> list[str]:
    """What is wrong with a value by a part of the document."""
    whole = json.loads(json.dumps({"components": schema["components"], **part}))
    validator = jsonschema.Draft202012Validator(whole, format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def wrong_with(schema: Any, call: walk.Call) -> list[str]:
    documented = call.operation["responses"].get(call.answer.status_code)
    if documented is None:
        return [f"{call.label} is not documented: {call.answer.body[:200]!r}"]
    if "$ref" in documented:
        return _wrong_with_problem(schema, call, documented["$ref"].rpartition("/")[2])
    content = documented.get("content")
    if content is None:
        return [f"{call.label} has a body"] if call.answer.body else []
    media_type = call.answer["Content-Type"].partition(";")[0]
    if media_type not in content:
        return [f"{call.label} is {media_type}"]
    part = content[media_type]["schema"]
    if media_type != "application/json" or part.get("format") == "binary":
        return []
    found = complaints(schema, part, orjson.loads(call.answer.body))
    return [f"{call.label} {one}" for one in found]


def _wrong_with_problem(schema: Any, call: walk.Call, name: str) -> list[str]:
    content = schema["components"]["responses"][name]["content"][problems.MEDIA_TYPE]
    body = orjson.loads(call.answer.body)
    found = complaints(schema, content["schema"], body)
    if body["code"] not in content["examples"]:
        found.append(f"{body['code']} is not documented")
    return [f"{call.label} {one}" for one in found]


def test_what_is_answered_is_documented(cast: Cast, schema: Any) -> None:
    made = list(walk.calls(cast, schema, "superuser"))
    wrong = [line for call in made for line in wrong_with(schema, call)]
    if os.environ.get("DGX_WRITE_EXAMPLES"):
        text = json.dumps(walk.examples(made), indent=1, ensure_ascii=False)
        EXAMPLES.write_text(text + "\n", encoding="utf-8")
    assert wrong == []
    refused = {call.label for call in made if call.answer.status_code >= 300}
    assert refused == _IN_ANOTHER_STATE


@pytest.mark.parametrize("actor", ["anonymous", "stranger", "viewer"])
def test_what_is_refused_is_documented(cast: Cast, schema: Any, actor: str) -> None:
    made = list(walk.calls(cast, schema, actor))
    assert [line for call in made for line in wrong_with(schema, call)] == []
    assert {call.answer.status_code for call in made} & {401, 403, 404}


@pytest.mark.parametrize("body", [{}, {"no_such_field": 1}, [], {"name": ["\x01"]}])
def test_wrong_bodies_are_refused_as_documented(cast: Cast, schema: Any, body: Any) -> None:
    made = list(walk.calls(cast, schema, "superuser", bodies=body))
    assert len(made) > 20
    assert [line for call in made for line in wrong_with(schema, call)] == []


def test_every_example_is_valid(schema: Any) -> None:
    parts = schema["components"]["schemas"]
    wrong = [
        f"{name} {line}"
        for name, part in parts.items()
        for example in part.get("examples", [])
        for line in complaints(schema, {"$ref": f"#/components/schemas/{name}"}, example)
    ]
    assert wrong == []


def test_every_body_has_an_example(schema: Any) -> None:
    used = set()
    for _, _, operation in operations(schema):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        used |= set(
            re.findall(
                r'"application/json": \{"schema": \{"\$ref": "[^"]*/(\w+)"', json.dumps(bodies)
            )
        )
    parts = schema["components"]["schemas"]
    assert len(used) > 60
    assert [name for name in sorted(used) if "examples" not in parts[name]] == []


def test_every_recorded_example_is_of_a_schema(schema: Any) -> None:
    assert (
        json.loads(EXAMPLES.read_text(encoding="utf-8")).keys()
        <= schema["components"]["schemas"].keys()
    )


def test_every_get_has_a_response_schema(schema: Any) -> None:
    bare = [
        path
        for method, path, operation in operations(schema)
        if method == "get" and "schema" not in json.dumps(operation["responses"][200])
    ]
    assert bare == []


def test_operation_ids_read_as_a_verb_and_its_object(schema: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+){1,4}", name)] == []
    assert [name for name in ids if "_api_" in name] == []


def test_every_operation_documents_its_refusals(schema: Any) -> None:
    for method, path, operation in operations(schema):
        answers = operation["responses"]
        assert {400, 401, 403, 429, 500, 503} <= answers.keys(), path
        assert (404 in answers) or "{" not in path, path
        assert ("requestBody" not in operation) or {413, 415, 422} <= answers.keys(), path
        assert method == "get" or 409 in answers, path


def test_every_code_is_documented_once(schema: Any) -> None:
    codes = schema["components"]["schemas"]["ProblemCode"]["enum"]
    statuses: dict[str, set[int]] = {}
    for kind in errors.every_kind():
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert sorted(statuses) == codes
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_what_takes_an_idempotency_key_documents_it(schema: Any) -> None:
    """A route that goes through `once` reads the header, and no other does."""
    wrong = []
    for router in api._get_bound_routers():
        for view in router.path_operations.values():
            for operation in view.operations:
                function = operation.view_func
                reads = bool({"once", "once_prepared"} & set(function.__code__.co_names))
                documents = "Idempotency-Key" in json.dumps(
                    (operation.openapi_extra or {}).get("parameters", [])
                )
                if reads != documents:
                    wrong.append(function.__name__)
    assert wrong == []


def test_what_a_patch_leaves_out_has_no_default(schema: Any) -> None:
    """A generated client would send it."""
    for method, path, operation in operations(schema):
        if method != "patch":
            continue
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        fields = schema["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
        assert [name for name, field in fields.items() if "default" in field] == [], path
