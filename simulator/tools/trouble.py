"""How a fake tool fails on request: the simulator puts a file beside the tables, every tool looks.

The file `trouble-<tool>` holds the kind in its first line, an exit status in its second and a text
in the rest. Kinds: `hang`, `fail` (print the text, exit), `garbage` (bytes no parser expects),
`flood` (garbage without end).
"""

import os
import sys
import time

GARBAGE = (
    b"\xff\xfe\x00\x1b]52;c;aGk=\x07\x1b[2J0, \xf0\x9f\x92, [N/A, 45 %, 1e308 W, -1 MiB\r"
    b"nan, inf, ERR!, 99999999999999999999, ,,,\n" + b"A" * 4096 + b"\n"
)
_LOOK_AGAIN_SECONDS = 0.2


class ToolFailed(Exception):
    """The tool has to end with this exit status; what it says has been printed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def suffer(state_dir: str, tool: str) -> None:
    """Do what was asked of this tool; returns at once when nothing was. Raises `ToolFailed`."""
    while True:
        try:
            with open(f"{state_dir}/trouble-{tool}", encoding="utf-8") as file:
                kind, status, text = (file.read() + "\n\n").split("\n", 2)
        except FileNotFoundError:
            return
        if kind != "hang":
            _speak(kind, int(status or "0"), text.rstrip("\n"))
        time.sleep(_LOOK_AGAIN_SECONDS)


def _speak(kind: str, status: int, text: str) -> None:
    sys.stdout.flush()
    if kind == "fail":
        os.write(1, f"{text}\n".encode())
        raise ToolFailed(status)
    os.write(1, GARBAGE)
    while kind == "flood":
        os.write(1, GARBAGE)
    raise ToolFailed(status)
