"""Show jobs and their logs to the browsers that watch them, once the change is committed.

A push is a hint: who finds that a `log` event does not begin where the last one ended asks the API
for what lies between. Of a flood only the end is pushed.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from core import topics
from jobs.log import store as log_store
from jobs.models import Job
from jobs.serializers import as_event

# JSON writes a control character with six; twice this fits a frame with the usual text.
PIECE_BYTES = 24 * 1024
FLOOD_BYTES = 256 * 1024


def job(row: Job) -> None:
    """Publish the row as it is now, one in the trash as deleted."""
    gone = {"deleted": True} if row.deleted_at is not None else {}
    data = orjson.dumps({"job": as_event(row) | gone})
    topics.publish(row.connection.team_id, [topics.Item(topics.job_topic(row.pk), "job", data)])


def log(row: Job, offset: int, data: bytes) -> None:
    """Publish what was appended at `offset`."""
    skipped = max(0, len(data) - FLOOD_BYTES)
    items = [
        topics.Item(topics.job_topic(row.pk), "log", piece)
        for piece in _pieces(offset + skipped, data[skipped:])
    ]
    topics.publish(row.connection.team_id, items)


def tail(row: Job) -> dict[str, Any]:
    """The end of the log as it fits one frame beside the job, in the shape of a `log` event."""
    offset = max(0, row.log_bytes - PIECE_BYTES)
    return _fitting(offset, log_store.read(row, offset, PIECE_BYTES))


def _pieces(offset: int, data: bytes) -> Iterator[bytes]:
    while data:
        part = log_store.whole_characters(data[:PIECE_BYTES]) or data[:PIECE_BYTES]
        yield orjson.dumps(_fitting(offset, part))
        offset, data = offset + len(part), data[len(part) :]


def _fitting(offset: int, data: bytes) -> dict[str, Any]:
    """One event; text that JSON blows up too far is halved until its end fits."""
    while True:
        event = {
            "offset": offset,
            "next_offset": offset + len(data),
            "text": data.decode("utf-8", "replace"),
        }
        if len(data) < 16 or len(orjson.dumps(event)) <= topics.MAX_DATA_BYTES * 3 // 4:
            return event
        half = len(data) // 2
        offset, data = offset + half, data[half:]
