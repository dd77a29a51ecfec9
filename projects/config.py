"""A project's configuration: what is accepted, and every mistake with its line.

The text is kept as it was written. `Broken` carries the problems for a page; as an error of the
API it names the field, the place inside it and the line. Nothing is stored here.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import FieldError, Invalid, TooLarge
from core.security.secret_names import hidden
from core.web.waiting import outside_database
from projects import json_lines
from projects.json_lines import Document, Problem

LIMIT_BYTES = 256 * 1024
# Wall time, for a busy machine; the child itself ends after 2 s of CPU.
_CHECK_SECONDS = 10.0
# Their sentences name keys, and repeat no value.
_NAMES_ONLY = frozenset({"required", "dependentRequired", "additionalProperties"})
_READER = Path(__file__).with_name("schema_reader.py")


class Broken(Invalid):
    """The text is not what it has to be; `problems` says where, in `about`."""

    def __init__(self, field: str, problems: list[Problem]) -> None:
        problems = sorted(problems, key=lambda problem: problem.line)
        errors = tuple(FieldError(_place(field, p), _sentence(p)) for p in problems)
        super().__init__(errors[0].message, errors=errors)
        self.about = field
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration and its schema as texts that were checked together."""

    config_text: str
    schema_text: str


def check(config_text: str, schema_text: str) -> Written:
    """Both texts if they are fine; `Broken` or `TooLarge` otherwise. An empty schema is none.

    May start a child process: never call it inside a transaction.
    """
    # Outer blanks are not kept, but counted: the lines are those that a person sees.
    config = _object("config", config_text if config_text.strip() else "{}")
    if schema_text.strip():
        _check_schema(config, _object("config_schema", schema_text))
    return Written(config_text.strip() or "{}", schema_text.strip())


def as_text(field: str, value: dict[str, Any]) -> str:
    """How an object from the API is kept: indented, unless that alone would be too large."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > LIMIT_BYTES:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    _check_size(field, text)
    return text


def _object(field: str, text: str) -> Document:
    _check_size(field, text)
    document = json_lines.read(text)
    if document.problems:
        raise Broken(field, document.problems)
    if not isinstance(document.value, dict):
        raise Broken(field, [Problem(1, (), "It is an object: { … }.")])
    return document


def _check_size(field: str, text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > LIMIT_BYTES:
        message = f"It is larger than {LIMIT_BYTES // 1024} KiB."
        raise TooLarge(message, errors=(FieldError(field, message),))


def _check_schema(config: Document, schema: Document) -> None:
    answer = _ask_child({"schema": schema.value, "value": config.value})
    if "schema_error" in answer:
        path = tuple(answer.get("path", ()))
        problem = Problem(schema.line_of(path), path, answer["schema_error"])
        raise Broken("config_schema", [problem])
    secret = [path for path, _ in hidden(config.value)]
    found = [(tuple(one["path"]), _message(one, secret)) for one in answer["problems"]]
    if found:
        raise Broken(
            "config", [Problem(config.line_of(path), path, message) for path, message in found]
        )


def _message(problem: dict[str, Any], secret: list[json_lines.Path]) -> str:
    """The checker's sentence, which repeats the value, unless there is a secret one in it."""
    path = tuple(problem["path"])
    if problem["validator"] in _NAMES_ONLY or not any(one[: len(path)] == path for one in secret):
        return str(problem["message"])
    return f"This does not keep to the schema ({problem['validator']})."


@outside_database()
def _ask_child(question: dict[str, Any]) -> dict[str, Any]:
    """What the reader says; one that was killed or ran out of memory had too hard a question."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_READER)],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=_CHECK_SECONDS,
            env={"PATH": os.defpath},
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return {"schema_error": "Checking against this schema takes too long or too much memory."}
    return found


def _place(field: str, problem: Problem) -> str:
    return ".".join((field, *map(str, problem.path)))[:200]


def _sentence(problem: Problem) -> str:
    return f"Line {problem.line}: {problem.message}"
