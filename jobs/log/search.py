"""Looking for words in a whole log: bounded in time, and few at once, since it keeps a processor.

The log is read a few pieces at a time, with no query open and no connection held in between. A
block of lines is looked at as a whole first; only one that holds the words is taken apart.
"""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from core.web.slots import Places
from core.web.waiting import outside_database
from jobs.models import Job, LogChunk

MOST_FOUND = 1000
# Of the wall clock; a log of 256 MiB takes about half of it alone.
SEARCH_SECONDS = 6.0
SEARCHES = Places("searches of logs", in_all=4, per_person=2)
_PIECES = 4
# After each MiB the interpreter is somebody else's for a moment.
_BREATH_SECONDS = 0.002
_SHOWN = 500
_LONGEST_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A line of a log; `line` counts from 1, `offset` is that of its first byte."""

    line: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Search:
    """What was found; `is_whole` unless time ended before the log did."""

    found: list[Found]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole lines, or a part of one that is too long; where it begins in the log."""

    line: int
    offset: int
    data: bytes


def search(
    job: Job, words: str, most: int = MOST_FOUND, *, seconds: float = SEARCH_SECONDS
) -> Search:
    """The first `most` lines that hold `words`, whatever the case. Never inside a transaction."""
    deadline = time.monotonic() + seconds
    wanted = words.casefold()
    found: list[Found] = []
    for block in _blocks(job):
        if time.monotonic() > deadline:
            return Search(found, is_whole=False)
        if wanted in _folded(block.data):
            found += _in_block(block, wanted)
            if len(found) >= most:
                break
    return Search(found[:most])


def _folded(data: bytes) -> str:
    return data.decode("utf-8", "replace").casefold()


def _in_block(block: _Block, wanted: str) -> Iterator[Found]:
    number, offset = block.line, block.offset
    for line in block.data.split(b"\n"):
        if wanted in _folded(line):
            yield Found(number, offset, line.decode("utf-8", "replace")[:_SHOWN])
        number, offset = number + 1, offset + len(line) + 1


def _blocks(job: Job) -> Iterator[_Block]:
    """The log in order; a line without end comes in parts."""
    first = LogChunk.objects.filter(job=job).order_by("offset").first()
    number, offset, rest = (first.first_line + 1, first.offset, b"") if first else (1, 0, b"")
    for piece in _pieces(job):
        lines, end, rest = (rest + piece).rpartition(b"\n")
        if end:
            yield _Block(number, offset, lines)
            number, offset = number + lines.count(b"\n") + 1, offset + len(lines) + 1
        if len(rest) > _LONGEST_LINE:
            yield _Block(number, offset, rest)
            offset, rest = offset + len(rest), b""
    if rest:
        yield _Block(number, offset, rest)


def _pieces(job: Job) -> Iterator[bytes]:
    """The log in order, also what its newest piece has grown by since it was read."""
    start, seen = -1, 0
    rows = LogChunk.objects.filter(job=job).order_by("offset").values_list("offset", "data")
    while True:
        chunks = list(rows.filter(offset__gte=start)[:_PIECES])
        with outside_database():
            time.sleep(_BREATH_SECONDS)
        come = False
        for offset, packed in chunks:
            data = zlib.decompress(packed)
            known = seen if offset == start else 0
            start, seen = offset, len(data)
            if len(data) > known:
                come = True
                yield data[known:]
        if not come:
            return
