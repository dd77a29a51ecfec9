"""A job's log as it grows, to its end. Ctrl-C stops the looking, never the job."""

import sys
import time
from collections.abc import Callable
from typing import Any

from dgxsite_client import terminal
from dgxsite_client.api import Api

FINAL = frozenset({"completed", "failed", "stopped", "lost"})
PAUSE_SECONDS = 1.0
_PIECE_BYTES = 256 * 1024

Row = dict[str, Any]
Say = Callable[[str], None]


def show(api: Api, job_id: str, offset: int = 0, *, raw: bool = False) -> int:
    """Print what is there of the log from a byte on; the offset of what would follow.

    A terminal gets it without what would steer it, unless `raw`.
    """
    out = sys.stdout
    while True:
        piece = api.get(f"/jobs/{job_id}/log", offset=offset, limit=_PIECE_BYTES)
        if piece["next_offset"] == offset:
            return offset
        out.write(terminal.for_stream(piece["text"], out, is_raw=raw))
        out.flush()
        offset = piece["next_offset"]


def follow(api: Api, job_id: str, say: Say, *, with_log: bool = True, raw: bool = False) -> Row:
    """Print the log until the job has ended; the job as it is then. `say` hears why it waits."""
    offset, said = 0, ""
    while True:
        row: Row = api.get(f"/jobs/{job_id}")  # before the log, so that its last piece is there
        words = _words(row)
        if words != said:
            said = words
            say(words)
        if with_log:
            offset = show(api, job_id, offset, raw=raw)
        if row["status"] in FINAL:
            return row
        time.sleep(PAUSE_SECONDS)


def exit_code_of(row: Row) -> int:
    """The job's own exit code; 1 where it ended without one."""
    if row["status"] == "completed":
        return 0
    return int(row["exit_code"]) if row["exit_code"] else 1


def ending(row: Row) -> str:
    """How it ended, in one line."""
    code = "" if row["exit_code"] is None else f", exit code {row['exit_code']}"
    detail = f": {row['detail']}" if row["detail"] else ""
    return f"{row['name']} {row['status']}{code}{detail}"


def _words(row: Row) -> str:
    if row["status"] == "queued" and row["waiting_reason"]:
        return f"queued: {row['waiting_reason']}"
    return str(row["status"])
