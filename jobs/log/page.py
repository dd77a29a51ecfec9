"""What the viewer of a log is given: the lines it begins with, in the page and over HTTP."""

import json
from dataclasses import asdict
from typing import Any

from core.numbers import whole
from jobs.log import viewer
from jobs.models import Job

# How many lines come at once when the reader scrolls.
MORE = 500
_LARGEST = 2**53


def context(job: Job, line: str) -> dict[str, Any]:
    """The last lines, or those round `line`, as text for the page and facts for its script."""
    wanted = number(line)
    part = viewer.tail(job) if wanted is None else viewer.around(job, wanted)
    facts = as_dict(part) | {"count": len(part.texts)}
    return {
        "log_text": "\n".join(facts.pop("texts")),
        "log_facts": json.dumps(facts),
    }


def as_dict(part: viewer.Part) -> dict[str, Any]:
    return asdict(part)


def number(text: str) -> int | None:
    """The number of a line; nonsense is none."""
    return whole(text, _LARGEST)
