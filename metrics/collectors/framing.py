r"""The byte stream of one collector program → tagged records.

What the program writes (`collector.sh`):

    <marker>T payload\n                  a record; T is its tag, a single letter
    <marker>F n\r…lines…\rE n\n          frame n: the kernel's files, their line ends as \r;
                                         a line "=T payload" is a record gathered before it

A short record is written with one write and is never torn, but it may land inside a long one
whose write had to wait: cutting it out from marker to line end restores the long one. What comes
outside of records (a greeting, an rc file's chatter) is dropped. Memory is bounded: a record
that grows past its cap is dropped and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_RECORD_BYTES = 1024 * 1024
FRAME = "F"


@dataclass(frozen=True, slots=True)
class Record:
    """One tagged line; the payload of a frame is its text, with the line ends put back."""

    tag: str
    payload: str


class Framing:
    """Splits bytes that arrive in any portions; never raises, whatever the bytes."""

    def __init__(self, marker: str) -> None:
        self.started = False
        self.dropped = 0
        self._mark = marker.encode("ascii")
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that `data` completes, in order."""
        self._buffer += data
        mark, buffer = self._mark, self._buffer
        while True:
            at = buffer.find(mark)
            if at < 0:
                # The last bytes may be the beginning of a marker; all before is noise.
                del buffer[: max(len(buffer) - len(mark) + 1, 0)]
                return
            del buffer[:at]
            end = buffer.find(b"\n", len(mark), MAX_RECORD_BYTES)
            if end < 0 and len(buffer) <= MAX_RECORD_BYTES:
                return
            if end < 0:
                self.dropped += 1
                del buffer[: len(mark)]
                continue
            # The last marker before the line end: a record inside another one.
            begin = buffer.rfind(mark, 0, end)
            line = bytes(buffer[begin + len(mark) : end])
            del buffer[begin : end + 1]
            yield from self._record(line)

    def _record(self, line: bytes) -> Iterator[Record]:
        self.started = True
        tag, payload = line[:1].decode("ascii", "replace"), line[1:].decode("utf-8", "replace")
        if tag == FRAME:
            number, _, text = payload.partition("\r")
            text, whole, _ = text.rpartition(f"\rE{number}")
            if whole:
                text, *gathered = text.split("\r=")
                for record in gathered:
                    yield Record(record[:1], record[1:])
                yield Record(tag, text.replace("\r", "\n"))
                return
        elif tag.isalpha():
            yield Record(tag, payload)
            return
        self.dropped += 1
