"""By what usage is added up: each grouping is a line of the table.

The keys of a line are those of `KEYS`; a grouping says how it computes some, the rest are null.
Times are those of UTC: a week begins on Monday.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

# `r` is a row of the ledger, `o` its owner.
KEYS: Mapping[str, LiteralString] = {
    "user": "varchar",
    "container": "varchar",
    "is_nobody": "boolean",
    "machine": "integer",
    "gpu": "smallint",
    "start": "timestamptz",
}
_MOST_FIRST: LiteralString = "share_seconds DESC, free_seconds DESC"
_IN_TIME: LiteralString = "start DESC"


@dataclass(frozen=True, slots=True)
class Grouping:
    """How to compute the keys, the order of the lines, and the name for people."""

    label: str
    keys: Mapping[str, LiteralString]
    order: LiteralString = _MOST_FIRST


GROUPINGS: Mapping[str, Grouping] = {
    "user": Grouping("User", {"user": "o.user", "is_nobody": "o.is_nobody"}),
    "container": Grouping(
        "Container",
        {"user": "o.user", "container": "o.container", "is_nobody": "o.is_nobody"},
    ),
    "machine": Grouping("Machine", {"machine": "r.machine"}),
    "gpu": Grouping("GPU", {"machine": "r.machine", "gpu": "r.gpu"}),
    "week": Grouping("Week", {"start": "date_trunc('week', r.at, 'UTC')"}, _IN_TIME),
    "day": Grouping("Day", {"start": "date_trunc('day', r.at, 'UTC')"}, _IN_TIME),
}
