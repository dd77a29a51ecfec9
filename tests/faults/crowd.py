"""Many askers of one web process, in a process of their own: `python -m tests.faults.crowd`.

Reads `{"port", "count", "method", "path", "token", "body"}` as a line from stdin and asks until
stdin ends, each asker again a second after its answer; then prints how often each status came. 0
is an answer that never came. Who measures beside it does not share an interpreter with it.
"""

import http.client
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

PATIENCE_SECONDS = 60.0


class Crowd:
    """A running one; `statuses` is filled when it has ended."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()


@contextmanager
def asking(order: dict[str, Any]) -> Iterator[Crowd]:
    """A crowd for the length of the block."""
    crowd = Crowd()
    argv = [sys.executable, "-m", "tests.faults.crowd"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        try:
            yield crowd
        finally:
            said, _ = process.communicate()
            crowd.statuses.update({int(status): n for status, n in json.loads(said).items()})


def main() -> None:
    order = json.loads(sys.stdin.readline())
    statuses: Counter[int] = Counter()
    is_over = threading.Event()

    def ask_again_and_again() -> None:
        while not is_over.is_set():
            statuses[_ask(order)] += 1
            is_over.wait(1.0)

    askers = [
        threading.Thread(target=ask_again_and_again, daemon=True) for _ in range(order["count"])
    ]
    for asker in askers:
        asker.start()
    sys.stdin.read()
    is_over.set()
    print(json.dumps(statuses))


def _ask(order: dict[str, Any]) -> int:
    link = http.client.HTTPConnection("127.0.0.1", order["port"], timeout=PATIENCE_SECONDS)
    headers = {
        "Authorization": f"Bearer {order['token']}",
        "Content-Type": "application/json",
    }
    body = json.dumps(order["body"]) if order["body"] else None
    with closing(link):
        try:
            link.request(order["method"], order["path"], body, headers)
            answer = link.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        return answer.status


if __name__ == "__main__":
    main()
