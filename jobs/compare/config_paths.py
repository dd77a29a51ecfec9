"""A configuration laid flat: each value under the path that leads to it. Pure.

Numbers stay numbers, everything else is its JSON text: so `null` differs from a value that is not
there, and `"1"` from `1`. A list of plain values is one value; one that holds objects is walked.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# What stands below a longer path is one value: each of its parts would repeat all of the path.
_LONGEST_PATH = 1000


def flat(config: Mapping[str, Any], root: str = "config") -> dict[str, str | int | float]:
    """`{"config.optimizer.lr": 0.1}`; a key that is no plain word stands as `config["odd key"]`."""
    return dict(_walk(config, root)) if config else {}


def _walk(value: Any, path: str) -> Iterator[tuple[str, str | int | float]]:
    if len(path) > _LONGEST_PATH:
        yield path, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _walk(part, path + _step(key))
    elif isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        for place, part in enumerate(value):
            yield from _walk(part, f"{path}[{place}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"
