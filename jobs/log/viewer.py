"""A job's log by lines, as its viewer shows it: the end of it, and what stands round a line.

Lines count from 1. A program that returns the carriage to paint over its line (a progress bar) has
the last of what it painted shown. However long the log is, at most two MiB of it are read at once:
lines for which that is not enough are left to the download.
"""

import zlib
from bisect import bisect_right
from dataclasses import dataclass

from django.db.models import F

from jobs.log import store
from jobs.models import Job, LogChunk

MOST = 1000
LONGEST = 10_000
_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring lines; `first` is the number of the first.

    `times` are pairs of a line and milliseconds since 1970: from that line on, bytes came then.
    `next_offset` is that of the byte behind the last line. `is_end`: nothing is known to follow;
    then `is_open` says that the last line may go on, `returns` that what follows paints over it.
    """

    first: int
    texts: list[str]
    times: list[tuple[int, int]]
    next_offset: int
    is_end: bool
    is_open: bool
    returns: bool


def tail(job: Job, count: int = MOST) -> Part:
    """The last `count` lines that have ended, and the one that has not."""
    return between(job, job.log_lines + 1 - count, job.log_lines + 1, from_end=True)


def around(job: Job, line: int, count: int = MOST) -> Part:
    return between(job, line - count // 2, line + count // 2 - 1)


def before(job: Job, line: int, count: int = MOST) -> Part:
    return between(job, line - count, line - 1, from_end=True)


def after(job: Job, line: int, count: int = MOST) -> Part:
    return between(job, line + 1, line + count)


def between(job: Job, first: int, last: int, *, from_end: bool = False) -> Part:
    """The lines from `first` to `last` that there are; of too much, the beginning or the end."""
    chunks = _chunks(job, max(first, 1) - 1, last - 1, from_end=from_end)
    if not chunks:
        return Part(max(first, 1), [], [], job.log_bytes, last > job.log_lines, False, False)
    data = b"".join(zlib.decompress(chunk.data) for chunk in chunks)
    end = chunks[0].offset + len(data)
    is_end = end >= job.log_bytes
    is_over = is_end and job.log_complete
    found = _split(chunks[0], data, is_over=is_over, is_end=is_end)
    wanted = [one for one in found if first <= one[0] <= last]
    is_end = is_end and bool(found) and wanted[-1:] == found[-1:]
    open_line = wanted[-1][2] if is_end and not is_over and not data.endswith(b"\n") else None
    return Part(
        first=wanted[0][0] if wanted else max(first, 1),
        texts=[shown(raw) for _, _, raw in wanted],
        times=_times(chunks, wanted),
        next_offset=wanted[-1][1] + len(wanted[-1][2]) + (open_line is None) if wanted else end,
        is_end=is_end,
        is_open=open_line is not None,
        returns=open_line is not None and open_line.endswith(b"\r"),
    )


def shown(raw: bytes) -> str:
    """What a person sees of a line: what was painted last, cut where it is endless."""
    text = raw.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … {len(text) - LONGEST} more characters are in the download"


def _chunks(job: Job, first: int, last: int, *, from_end: bool) -> list[LogChunk]:
    """The pieces that hold something of the lines `first` to `last`, which count from 0."""
    rows = LogChunk.objects.filter(job=job, first_line__lte=last)
    rows = rows.annotate(last_line=F("first_line") + F("lines")).filter(last_line__gte=first)
    found: list[LogChunk] = []
    size = 0
    for chunk in rows.order_by("-offset" if from_end else "offset").iterator(chunk_size=4):
        found.append(chunk)
        size += chunk.length
        if size >= _BYTES:
            break
    return found[::-1] if from_end else found


_Raw = tuple[int, int, bytes]


def _split(chunk: LogChunk, data: bytes, *, is_over: bool, is_end: bool) -> list[_Raw]:
    """Number, offset and bytes of each line; without a last one that is cut in two."""
    number, offset = chunk.first_line + 1, chunk.offset
    found: list[_Raw] = []
    pieces = data.split(b"\n")
    rest = pieces.pop()
    for piece in pieces:
        found.append((number, offset, piece))
        number, offset = number + 1, offset + len(piece) + 1
    if rest and not is_over and is_end:
        rest = store.whole_characters(rest)
    if rest and (is_end or not found):
        found.append((number, offset, rest))
    return found


def _times(chunks: list[LogChunk], lines: list[_Raw]) -> list[tuple[int, int]]:
    marks = sorted((offset, at) for chunk in chunks for offset, at in chunk.times)
    starts = [offset for offset, _ in marks]
    times: list[tuple[int, int]] = []
    for number, offset, _ in lines:
        place = bisect_right(starts, offset) - 1
        if place >= 0 and (not times or times[-1][1] != marks[place][1]):
            times.append((number, marks[place][1]))
    return times
