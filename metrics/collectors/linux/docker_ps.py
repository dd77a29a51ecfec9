"""`docker ps --no-trunc --format '{{json .}}'`: container id → name, one JSON object per line."""

import json
from collections.abc import Iterable

MAX_CONTAINERS = 2048
# The program on the machine shortens longer ones.
MAX_LINE = 64 * 1024
_LONGEST_ID, _LONGEST_NAME = 128, 128


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Id → first name; lines that are no such object are left out.

    Some contexts print one array instead of lines; both forms are read.
    """
    names: dict[str, str] = {}
    for line in lines:
        if len(names) >= MAX_CONTAINERS:
            break
        if len(line) > MAX_LINE:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict) and len(names) < MAX_CONTAINERS:
                _add(entry, names)
    return names


def _add(entry: dict[str, object], names: dict[str, str]) -> None:
    identity, name = entry.get("ID"), entry.get("Names") or entry.get("ID")
    if not (isinstance(identity, str) and isinstance(name, str)):
        return
    if 0 < len(identity) <= _LONGEST_ID:
        first = name.partition(",")[0][: 4 * _LONGEST_NAME]
        names[identity] = "".join(filter(str.isprintable, first))[:_LONGEST_NAME]


def name_of(container: str, names: dict[str, str]) -> str:
    """The name docker gives to a container id, else the id's usual short form."""
    short = container[:12] if len(container) == 64 else container
    return names.get(container) or names.get(short) or short
