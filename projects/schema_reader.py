"""Checks a value against a JSON Schema; runs as a program of its own, so that it can be killed.

Reads `{"schema", "value"}` as JSON from stdin and writes one JSON object to stdout: either
`{"schema_error", "path"?}` or `{"problems": [{"path", "message", "validator"}]}`. A schema is
hostile input: a pattern or a `$ref` may want more time and memory than there is, which ends the
process. No `$ref` is fetched from anywhere. It imports no part of the site and opens no file.
"""

import json
import resource
import sys
from itertools import islice
from typing import Any

import jsonschema
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

_CPU_SECONDS = 2
_MEMORY_BYTES = 512 * 1024 * 1024
_MOST_PROBLEMS = 50
_LONGEST_MESSAGE = 300


def answer(schema: Any, value: Any) -> dict[str, Any]:
    """The problems of `value`, none if it keeps to the schema; or what is wrong with the schema."""
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        found = islice(kind(schema, registry=Registry()).iter_errors(value), _MOST_PROBLEMS)
        return {"problems": [_problem(error) for error in found]}
    except jsonschema.SchemaError as error:
        return {"schema_error": _cut(error.message), "path": list(error.absolute_path)}
    except Unresolvable as error:
        return {"schema_error": f"A $ref leads nowhere: {_cut(str(error.ref))}"}
    except RecursionError:
        return {"schema_error": "A $ref leads back to itself."}


def _problem(error: jsonschema.ValidationError) -> dict[str, Any]:
    told = {"message": _cut(error.message), "validator": str(error.validator)}
    return told | {"path": list(error.absolute_path)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.load(sys.stdin)
    json.dump(answer(request["schema"], request["value"]), sys.stdout)


if __name__ == "__main__":
    main()
