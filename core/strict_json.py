"""JSON that every part behind it can keep: Python's reader takes more than PostgreSQL does.

Refused: NaN and infinities, numbers beyond 64 bits, duplicate keys, NUL and lone surrogates in
text, and nesting deeper than 32, each with a sentence that says so.
"""

import json
import math
import re
from typing import Any

from core.errors import Invalid, TooLarge

LIMIT_BYTES = 1024 * 1024
DEPTH = 32
_LARGEST = 2**63 - 1
# An unterminated string matches to the end, so that the search never starts over inside it.
_STRING = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_OUTSIDE = re.compile(r"[^\[\]{}]+")


class InvalidJson(Invalid):
    code = "invalid_json"


def loads(raw: bytes) -> Any:
    """The value of a JSON text; `InvalidJson` or `TooLarge` otherwise."""
    if len(raw) > LIMIT_BYTES:
        raise TooLarge(f"The body is larger than {LIMIT_BYTES} bytes.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson("The body is not UTF-8.") from error
    _check_depth(text)
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidJson(f"The body is not JSON ({place}).") from error
    _check_text(value)
    return value


def _check_depth(text: str) -> None:
    """Counts brackets before parsing, so that no input reaches the parser's recursion limit."""
    depth = 0
    for character in _OUTSIDE.sub("", _STRING.sub("", text)):
        depth += 1 if character in "[{" else -1
        if depth > DEPTH:
            raise InvalidJson(f"The JSON is nested deeper than {DEPTH} levels.")


def _integer(text: str) -> int:
    # Longer texts are never converted: that takes quadratic time, and past 4300 digits it raises.
    if len(text) <= 20 and -_LARGEST - 1 <= (value := int(text)) <= _LARGEST:
        return value
    raise InvalidJson("A whole number does not fit into 64 bits.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidJson("A number is too large.")
    return value


def _constant(text: str) -> Any:
    raise InvalidJson(f"{text} is not JSON.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidJson("An object has the same key twice.")
    return value


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise InvalidJson("A text holds a NUL or half a character.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
