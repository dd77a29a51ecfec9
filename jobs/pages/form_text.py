"""Lists and objects of the API as the texts of a form, and back. Pure; raises `Invalid`."""

from collections.abc import Mapping
from typing import Any

from core.errors import FieldError, Invalid
from jobs import masking
from jobs.hidden_values import (
    config_behind,
    environment_of,
    of_variables,
    refuse_reveal,
    shown_environment,
)
from jobs.models import MASK, Job
from projects import json_lines

_PLAIN = ("project_id", "name", "model_name", "kind", "command", "wait_for_gpu")
# An empty field asks for nothing.
_OPTIONAL = (
    "image",
    "virtualenv",
    "conda_env",
    "priority",
    "max_minutes",
    "max_retries",
    "not_before",
    "after",
)


def sent(cleaned: Mapping[str, Any], source: Job | None) -> dict[str, Any]:
    """The body for the API from the cleaned fields of a form that was filled from `source`."""
    secrets = environment_of(source) if source else {}
    marked = [name for name in source.secret_names if name in secrets] if source else []
    variables = environment(cleaned["environment"], secrets)
    optional = {name: cleaned[name] for name in _OPTIONAL if cleaned[name] not in (None, "")}
    if cleaned["kind"] == "command":
        optional.pop("image", None)
    else:
        optional.pop("virtualenv", None)
        optional.pop("conda_env", None)
    names = list(dict.fromkeys([*cleaned["secret_names"].replace(",", " ").split(), *marked]))
    written = _config(cleaned["config"], source)
    if source is not None:
        refuse_reveal(written, of_variables(source), masking.secrets_of(variables, names))
    return (
        {name: cleaned[name] for name in _PLAIN}
        | optional
        | {
            "gpus": gpus(cleaned["gpus"]),
            "environment": variables,
            "secret_names": names,
            "config": written,
        }
    )


def gpus(text: str) -> int | list[int | str]:
    """A count (`2`), or with a comma indices and MIG UUIDs (`0,` or `0, 3`)."""
    text = text.strip()
    if "," not in text and not text.startswith("MIG-"):
        return int(_digits(text or "0"))
    words = [word.strip() for word in text.split(",") if word.strip()]
    return [word if word.startswith("MIG-") else int(_digits(word)) for word in words]


def _digits(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) < 6:
        return text
    raise Invalid.field("gpus", "A count such as 2, or a list such as 0,3.")


def of_gpus(value: int | list[int | str]) -> str:
    if isinstance(value, int):
        return str(value)
    texts = ", ".join(map(str, value))
    return f"{texts}," if len(value) == 1 else texts


def environment(text: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """`NAME=value` lines; a masked value stands for the one in `secrets`."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        name = name.strip()
        if not sign:
            raise Invalid.field("environment", f"Line {number} is not NAME=value.")
        if name in found:
            raise Invalid.field("environment", f"Line {number}: {name} stands there twice.")
        found[name] = secrets.get(name, value) if value == MASK else value
    return found


def of_environment(job: Job) -> str:
    return "\n".join(f"{name}={value}" for name, value in shown_environment(job).items())


def _config(text: str, source: Job | None) -> Any:
    written = config(text)
    return config_behind(source, written) if source else written


def config(text: str) -> Any:
    """A JSON object, read as strictly as a project's."""
    if not text.strip():
        return {}
    read = json_lines.read(text)
    if read.problems:
        raise Invalid(errors=tuple(FieldError("config", _at(one)) for one in read.problems))
    if not isinstance(read.value, dict):
        raise Invalid.field("config", "It has to be a JSON object.")
    return read.value


def _at(problem: json_lines.Problem) -> str:
    return f"Line {problem.line}: {problem.message}"
