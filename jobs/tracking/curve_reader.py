"""Reads what jobs printed into their curves, in a process of its own, so that it can be killed.

A log is what somebody's program prints, and reading it may want more time or memory than there is:
never in a process that holds machines or answers people. Requests come on stdin, answers go to
stdout, one after the other: a line of JSON that names the lengths of what follows it, then that.

    {"offset", "times", "is_end", "curves": n, "data": n}   n bytes of curves, n bytes of the log
    {"read", "last", "percent", "cpu", "curves": n}         n bytes of curves

`cpu` are the seconds that this process has used so far: whoever asks starts another before its
limit is used up. One request that takes more than its share ends the process. It imports no part
of the site but the pure ones, and opens no file.
"""

import json
import resource
import signal
import sys
import time
from typing import IO, Any

from jobs.tracking.curves import Curves

PIECE_CPU_SECONDS = 8
# Beyond it no further request comes; the limit lies above, where the last one still fits.
LIFETIME_CPU_SECONDS = 60
_MEMORY_BYTES = 1024 * 1024 * 1024
_LONGEST_HEADER = 1024 * 1024


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of stdin is the end
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.readline(_LONGEST_HEADER):
        _allow(PIECE_CPU_SECONDS)
        answer, curves = read(json.loads(header), requests)
        answers.write(json.dumps({**answer, "curves": len(curves)}).encode() + b"\n" + curves)
        answers.flush()


def read(request: dict[str, Any], requests: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """One piece of a log into the curves that came with it."""
    curves = Curves.load(requests.read(request["curves"]))
    data = requests.read(request["data"])
    count = curves.read(data, request["offset"], request["times"], is_end=request["is_end"])
    progress = curves.progress
    return {
        "read": count,
        "last": curves.last_values(),
        "percent": progress.percent if progress else None,
        "cpu": time.process_time(),
    }, curves.dump()


def _allow(seconds: int) -> None:
    """From now on so many seconds of CPU; the end of them ends the process."""
    soft = int(time.process_time()) + 1 + seconds
    hard = LIFETIME_CPU_SECONDS + 2 * PIECE_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))


if __name__ == "__main__":
    main()
