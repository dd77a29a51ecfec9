"""`docker ps --no-trunc --format '{{json .}}'`: container id → name, one JSON object per line."""

import json
from collections.abc import Iterable

MAX_CONTAINERS = 2048


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Id → first name; lines that are no such object are left out.

    Some contexts print one array instead of lines; both forms are read.
    """
    names: dict[str, str] = {}
    for line in lines:
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
    if isinstance(identity, str) and isinstance(name, str) and identity:
        first = name.split(",")[0]
        names[identity] = "".join(filter(str.isprintable, first))[:128]


def name_of(container: str, names: dict[str, str]) -> str:
    """The name docker gives to a container id, else the id's usual short form."""
    short = container[:12] if len(container) == 64 else container
    return names.get(container) or names.get(short) or short
