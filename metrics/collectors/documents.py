"""The outputs of tools that are still coming, line by line: of one machine, bounded together.

They are kept as bytes, since in a text one strange character makes each of its characters take
four of them, and a list of short lines takes thirty times what is in it.
"""

from dataclasses import dataclass, field

# The XML of 64 GPUs fits into one, and beside it all that is open at the same time.
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
MAX_OPEN_BYTES = 4 * 1024 * 1024
MAX_DOCUMENT_LINES = 50_000


@dataclass(slots=True)
class _Document:
    data: bytearray = field(default_factory=bytearray)
    lines: int = 0
    is_given_up: bool = False


class Documents:
    """By the tag of their records; a document that is too large is given up until it ends."""

    def __init__(self) -> None:
        self._open: dict[str, _Document] = {}
        self._held = 0

    def add(self, tag: str, line: str) -> str | None:
        """Take a line; says why if it is not taken, and the rest of its document neither."""
        document = self._open.setdefault(tag, _Document())
        if document.is_given_up:
            return None
        data = line.encode() + b"\n"
        too_large = (
            len(document.data) + len(data) > MAX_DOCUMENT_BYTES
            or document.lines >= MAX_DOCUMENT_LINES
        )
        if too_large or self._held + len(data) > MAX_OPEN_BYTES:
            self._held -= len(document.data)
            self._open[tag] = _Document(is_given_up=True)
            return f"the output is too large{'' if too_large else ' beside others'} to be read"
        document.data += data
        document.lines += 1
        self._held += len(data)
        return None

    def end(self, tag: str) -> str | None:
        """The whole document, with its line ends; None for one that was given up."""
        document = self._open.pop(tag, None) or _Document()
        self._held -= len(document.data)
        return None if document.is_given_up else document.data.decode()


def lines(text: str) -> list[str]:
    """The lines of a document."""
    return text.split("\n")[:-1]
