"""Rows of `nvidia-smi --query-compute-apps=… --format=csv,noheader,nounits`."""

from collections.abc import Sequence
from dataclasses import dataclass

from metrics.collectors.nvidia import values
from metrics.collectors.nvidia.query_csv import split_row
from metrics.collectors.readings import Process
from metrics.collectors.tokens import MEBIBYTES, Refusals, whole

# The pid comes first because the program on the machine looks up its owner; the name comes last
# because it may hold a comma. Rows of one pass carry one timestamp.
FIELDS = ("pid", "timestamp", "gpu_uuid", "used_gpu_memory", "process_name")
MAX_LINE = 4096
# "2026/01/02 03:04:05.678", and as much again.
_LONGEST_TIMESTAMP = 64
INSTEAD = {"used_gpu_memory": ("used_memory",), "process_name": ("name",)}


@dataclass(frozen=True, slots=True)
class App:
    """One row: the process, and the pass that it belongs to."""

    process: Process
    timestamp: str


def parse_row(line: str, fields: Sequence[str], refusals: Refusals) -> App | None:
    """One process from one row, or `None` for a row that does not fit."""
    parts = split_row(line, len(fields)) if len(line) <= MAX_LINE else None
    if parts is None:
        return None
    tokens = dict(zip(fields, parts, strict=True))
    pid = tokens.get("pid", "").strip()
    if not (pid.isascii() and pid.isdigit() and len(pid) <= 10):
        return None
    used = tokens.get("used_gpu_memory", tokens.get("used_memory", ""))
    process = Process(
        gpu_uuid=values.text(tokens.get("gpu_uuid", "")),
        pid=int(pid),
        name=values.text(tokens.get("process_name", tokens.get("name", ""))),
        memory_used_bytes=whole(used.strip(), MEBIBYTES, "used_gpu_memory", refusals),
    )
    return App(process, tokens.get("timestamp", "")[:_LONGEST_TIMESTAMP])
