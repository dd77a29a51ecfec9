"""Which project, machine or job is meant: by its id, the beginning of an id, or its name."""

from typing import Any
from uuid import UUID

from dgxsite_client.api import Api
from dgxsite_client.errors import Misuse

Row = dict[str, Any]
_SHORTEST_ID = 4


def project(api: Api, text: str, machine: str | None = None) -> Row:
    """The project with this id or name, on this machine if one is named; raises `Misuse`."""
    where = None if machine is None else _one(list(api.every("/connections")), machine, "machine")
    rows = api.every("/projects", connection_id=where and where["id"])
    return _one(list(rows), text, "project")


def job(api: Api, text: str) -> Row:
    """The job with this id, or the newest with this name or beginning; raises `Misuse`."""
    if _is_id(text):
        found: Row = api.get(f"/jobs/{text}")
        return found
    for row in api.every("/jobs"):  # the newest first
        if row["name"] == text or (len(text) >= _SHORTEST_ID and row["id"].startswith(text)):
            return row
    raise Misuse(f"There is no job {text!r}.")


def _one(rows: list[Row], text: str, what: str) -> Row:
    found = [row for row in rows if row["id"] == text] or [r for r in rows if r["name"] == text]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(row["id"] for row in found)
        raise Misuse(f"There are {len(found)} {what}s called {text!r}; say which by its id: {ids}")
    names = ", ".join(sorted(row["name"] for row in rows)[:20])
    raise Misuse(f"There is no {what} {text!r}. " + (f"There are: {names}" if names else ""))


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
