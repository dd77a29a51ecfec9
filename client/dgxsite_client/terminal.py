"""What comes from the site, made harmless for a terminal.

A log is what a job printed, a name is what a colleague typed: either may hold sequences that
repaint the screen, set its title, fill the clipboard or answer as if they were typed. They are
taken out where a terminal reads along. A pipe or a file gets a log as it is, and so does a terminal
with `--raw`.
"""

import re
from typing import TextIO

# ESC [ … letter, ESC ] … BEL and the like. Where a piece of a log ends within one, its parts match
# nothing here: the ESC falls to `_UNSAFE`, and the rest is text.
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]{0,100}[ -/]{0,10}[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,10000}(?:\x07|\x1b\\)"
    r"|\x9b[0-?]{0,100}[ -/]{0,10}[@-~]"
    r"|\x1b[ -/]{0,10}[0-~]"
)
# Every other control character, the C1 set, marks that turn the direction of text, separators that
# some terminals take for the end of a line, and halves of surrogate pairs.
_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_INVISIBLE = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
_UNSAFE = re.compile(f"[{_CONTROLS}{_INVISIBLE}]")
_UNSAFE_IN_A_LINE = re.compile(f"[\t\r\n{_CONTROLS}{_INVISIBLE}]")


def text(raw: str) -> str:
    """A piece of a log: tabs and ends of lines stay, as do the returns of progress bars."""
    return _UNSAFE.sub("?", _SEQUENCES.sub("", raw))


def line(raw: str) -> str:
    """A sentence or a name: it stays on its line, and writes over nothing on it."""
    return _UNSAFE_IN_A_LINE.sub("?", _SEQUENCES.sub("", raw))


def for_stream(raw: str, out: TextIO, *, is_raw: bool = False) -> str:
    """A piece of a log as this stream gets it."""
    return text(raw) if out.isatty() and not is_raw else raw
