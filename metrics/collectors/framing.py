r"""The byte stream of one collector program → tagged records.

What the program writes (`collector.sh`):

    <marker>T payload\n                  a record; T is its tag, a single letter
    <marker>F n\r…lines…\rE n\n          frame n: the kernel's files, their line ends as \r;
                                         a line "=T payload" is a record gathered before it

A short record is written with one write and is never torn, but it may land inside a long one
whose write had to wait: cutting it out from marker to line end restores the long one. What comes
outside of records (a greeting, an rc file's chatter) is dropped. Memory is bounded: a record
that grows past its cap is dropped and counted. Each byte is looked at a bounded number of times,
however the bytes are cut into portions and however many markers have no line end.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_RECORD_BYTES = 1024 * 1024
# The number of a frame; it ends the frame as well, where it is searched for.
MAX_NUMBER_CHARACTERS = 20
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
        # A record that has not ended, from its marker on; else what may be a marker's beginning.
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that `data` completes, in order."""
        if not self._is_open():
            data = bytes(self._buffer) + data
            self._buffer.clear()
        start = 0
        while True:
            if not self._buffer:
                start = data.find(self._mark, start)
                if start < 0:
                    self._buffer += data[1 - len(self._mark) :]
                    return
            end = data.find(b"\n", start)
            self._buffer += data[start : end if end >= 0 else len(data)]
            if end < 0:
                self._keep_within_cap()
                return
            yield from self._record(self._last_record())
            start = end + 1

    def _is_open(self) -> bool:
        return self._buffer.startswith(self._mark)

    def _last_record(self) -> bytes:
        """Cut off what follows the last marker: a record, maybe inside another one."""
        begin = self._buffer.rfind(self._mark)
        line = bytes(self._buffer[begin + len(self._mark) :])
        del self._buffer[begin:]
        self._keep_within_cap()
        return line

    def _keep_within_cap(self) -> None:
        """Of markers without a line end those go that are too far back."""
        too_long = len(self._buffer) - MAX_RECORD_BYTES
        if too_long > 0:
            at = self._buffer.find(self._mark, too_long)
            del self._buffer[: at if at >= 0 else len(self._buffer)]
            self.dropped += 1

    def _record(self, line: bytes) -> Iterator[Record]:
        self.started = True
        if len(line) > MAX_RECORD_BYTES:
            self.dropped += 1
            return
        tag, payload = line[:1].decode("ascii", "replace"), line[1:].decode("utf-8", "replace")
        if tag == FRAME:
            number, _, text = payload.partition("\r")
            whole = ""
            if len(number) <= MAX_NUMBER_CHARACTERS:
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
