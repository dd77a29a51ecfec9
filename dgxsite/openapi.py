"""`openapi.json` completed: error answers, named enums, readable ids and recorded examples.

Ninja writes down what each route takes and answers when all is well. What it can be refused is
derived here: from the action that the policy asks for its route, its method, its parameters and its
body (`_RULES`), and from the few errors that a route names itself (`core.openapi.raises`). The
status, the code and the title of each stand in its class alone (`core/errors.py`).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from accounts import policy
from accounts.auth.callers import CsrfFailed, SecondFactorRequired
from accounts.auth.idempotency import HEADER, KeyReused
from core import errors, problems
from core.openapi import ERRORS, NAME
from core.schemas import UnsupportedMedia
from core.strict_json import InvalidJson
from core.web.body_limit import TooSlow

Node = dict[str, Any]

# What real calls sent and were answered, by the name of the schema; `tests/api/walk.py`.
EXAMPLES = Path(__file__).with_name("openapi_examples.json")
_REF = re.compile(r'"#/components/(\w+)/([^"]+)"')


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of an operation."""

    method: str
    needs_more_than_a_login: bool
    names_an_object: bool
    has_query: bool
    has_body: bool
    is_repeatable: bool

    @property
    def writes(self) -> bool:
        return self.method != "GET"


Kind = type[errors.SiteError]
_RULES: tuple[tuple[Callable[[_Facts], bool], tuple[Kind, ...]], ...] = (
    (
        lambda facts: True,
        (
            errors.Unreadable,
            errors.Unauthorized,
            SecondFactorRequired,
            errors.TooMany,
            errors.SiteError,
            errors.Unavailable,
        ),
    ),
    (lambda facts: facts.needs_more_than_a_login, (errors.Forbidden,)),
    (lambda facts: facts.names_an_object, (errors.NotFound,)),
    (lambda facts: facts.has_query or facts.has_body, (errors.Invalid,)),
    (lambda facts: facts.has_body, (TooSlow, errors.TooLarge, UnsupportedMedia, InvalidJson)),
    # `Forbidden` is also a token whose scope is too small for what anybody may do to their own.
    (lambda facts: facts.writes, (CsrfFailed, errors.Forbidden, errors.Conflict, errors.NoRoom)),
    (lambda facts: facts.is_repeatable, (errors.Invalid, KeyReused)),
)


class DocumentedAPI(NinjaAPI):
    """A NinjaAPI whose document is complete; an operation is called as its function."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        _complete(schema)
        return schema


def _complete(schema: Node) -> None:
    components = schema["components"]
    components["schemas"] |= _problem_schemas()
    components["responses"] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            facts = _facts(path, method.upper(), operation, components["schemas"])
            found = _refusals(facts, operation)
            operation["responses"] |= {
                status: _response(components["responses"], kinds) for status, kinds in found
            }
    _name_enums(schema, components["schemas"])
    _drop_unused(schema)
    for name, example in json.loads(EXAMPLES.read_bytes()).items():
        if name in components["schemas"]:
            components["schemas"][name]["examples"] = [example]


def _refusals(facts: _Facts, operation: Node) -> Iterator[tuple[int, list[Kind]]]:
    """By status, one kind for each code, the plainest first."""
    kinds = [kind for holds, kinds in _RULES if holds(facts) for kind in kinds]
    kinds += operation.pop(ERRORS, [])
    by_status: dict[int, dict[str, Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, {}).setdefault(kind.code, kind)
    for status, found in sorted(by_status.items()):
        yield status, sorted(found.values(), key=lambda kind: (len(kind.__mro__), kind.code))


def _facts(path: str, method: str, operation: Node, schemas: Node) -> _Facts:
    route = path.removeprefix("/").replace("{", "<").replace("}", ">")
    action = (policy.methods_of(route) or {})[method]
    parameters = operation.get("parameters", [])
    places = {one["in"] for one in parameters}
    body = operation.get("requestBody")
    sent = schemas[_name_of(body)]["properties"] if body is not None else {}
    # What a body or a query has to name is looked up as what the path names.
    names = [one["name"] for one in parameters if one["required"]]
    names += [field for field in sent if field.endswith(("_id", "_ids"))]
    return _Facts(
        method=method,
        needs_more_than_a_login=policy.ACTIONS[action] is not policy.Right.PERSON,
        names_an_object=bool(names),
        has_query="query" in places,
        has_body=body is not None,
        is_repeatable=any(one["name"] == HEADER for one in parameters),
    )


def _name_of(body: Node) -> str:
    reference: str = body["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def _response(shared: Node, kinds: list[Kind]) -> Node:
    """A reference to the answer with these codes, which is added to `shared` at its first use."""
    name = ".".join(kind.code for kind in kinds)
    if name not in shared:
        shared[name] = _problem_response(kinds)
    return {"$ref": f"#/components/responses/{name}"}


def _problem_response(kinds: list[Kind]) -> Node:
    status = kinds[0].status
    codes = ", ".join(f"`{kind.code}`" for kind in kinds)
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {kind.code: {"value": _example(kind)} for kind in kinds},
    }
    found: Node = {
        "description": f"{HTTPStatus(status).phrase}; `code`: {codes}",
        "content": {problems.MEDIA_TYPE: content},
    }
    if status == errors.TooMany.status:
        seconds = {"description": "Seconds to wait", "schema": {"type": "integer"}}
        found["headers"] = {"Retry-After": seconds}
    return found


def _example(kind: Kind) -> Any:
    """What the site answers: the same function writes it."""
    return orjson.loads(problems.response(kind()).content)


def _problem_schemas() -> Node:
    schema = problems.Problem.model_json_schema(ref_template=REF_TEMPLATE, mode="serialization")
    parts: Node = schema.pop("$defs")
    codes = sorted({kind.code for kind in errors.every_kind()})
    schema["properties"]["code"] = {"type": "string", "enum": codes, NAME: "ProblemCode"}
    return parts | {"Problem": schema}


def _name_enums(node: Any, schemas: Node) -> None:
    """Each enum with a name becomes a schema of its own, to which every use of it refers."""
    if isinstance(node, list):
        for part in node:
            _name_enums(part, schemas)
    if not isinstance(node, dict):
        return
    for part in list(node.values()):
        _name_enums(part, schemas)
    name = node.pop(NAME, None)
    if name is not None:
        enum = {key: node.pop(key) for key in ("type", "enum", "x-enum-varnames") if key in node}
        node.pop("title", None)
        before = schemas.setdefault(name, {"title": name} | enum)
        assert before == {"title": name} | enum, f"two enums are called {name}"
        node["$ref"] = REF_TEMPLATE.format(model=name)


def _drop_unused(schema: Node) -> None:
    """Without what nothing refers to: the models of parameters, which stand in the operations."""
    parts = schema["components"]["schemas"]
    used: set[str] = set()
    todo = [schema["paths"], schema["components"].get("responses")]
    while todo:
        for kind, name in _REF.findall(json.dumps(todo.pop())):
            if kind == "schemas" and name not in used:
                used.add(name)
                todo.append(parts[name])
    schema["components"]["schemas"] = {name: parts[name] for name in sorted(used)}
