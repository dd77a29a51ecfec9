"""The line of a log that most likely says why a job failed. It is quoted, and decides nothing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.log import viewer
from jobs.models import Job, Status
from jobs.tracking import ansi

_LOOKED_AT = 5000
_QUOTED = 400
# A stack trace is indented; what it was about begins its line.
_SAYS_WHY = re.compile(
    r"\S{0,400}(?:Error|Exception|Interrupt)\b[^:]{0,40}(?::|$)"
    r"|.{0,400}\b(?:error:|fatal|panic|killed|segmentation fault|out of memory|core dumped"
    r"|command not found|no such file)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """One line; `is_guess` when nothing in the log looks like an error and it is the last one."""

    line: int
    text: str
    is_guess: bool


def quote(job: Job) -> Quote | None:
    """Of a job that failed, the first line near the end that looks like an error, else the last."""
    if job.status != Status.FAILED:
        return None
    part = viewer.tail(job, _LOOKED_AT)
    return of_lines(part.texts, part.first)


def of_lines(texts: Iterable[str], first: int) -> Quote | None:
    """The same of lines of which the first has this number."""
    last: Quote | None = None
    for number, text in enumerate(texts, first):
        plain = ansi.strip(text).rstrip()[:_QUOTED]
        if plain and not plain[0].isspace() and _SAYS_WHY.match(plain):
            return Quote(number, plain, False)
        if plain:
            last = Quote(number, plain, True)
    return last
