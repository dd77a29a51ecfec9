"""Strict JSON with line numbers: the value of a text, or every mistake and where it stands.

Takes exactly what `core.strict_json` takes as a request's body, which says no line. A mistake
of grammar ends the reading; one of meaning (a key twice, NaN, a number that is too large) is noted
and the reading goes on, so that a person sees all of them at once. Touches nothing.
"""

import json
import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from core import strict_json

# One level less than a request's body may have: the API carries the object inside another one.
DEPTH = strict_json.DEPTH - 1
_MOST_PROBLEMS = 100
_LARGEST = 2**63 - 1

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"-?[A-Za-z]+", re.ASCII)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TEXTS = json.JSONDecoder()  # read texts alone, at the speed of C
_WORDS = {"true": True, "false": False, "null": None}

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """One mistake: its line, counted from 1, where in the value it is, and a sentence."""

    line: int
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, on which line each part of it begins, and from where to where it stands."""

    value: Any
    lines: dict[Path, int]
    problems: list[Problem]
    spans: dict[Path, tuple[int, int]]

    def line_of(self, path: Path) -> int:
        """The line of a part; of what holds it, if the part is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> Document:
    """The document; its value is None if a mistake of grammar ended the reading."""
    reader = _Reader(text, [0, *(match.end() for match in re.finditer("\n", text))])
    try:
        value = reader.whole()
    except _Ended:
        value = None
    return Document(value, reader.lines, reader.problems, reader.spans)


class _Ended(Exception):
    pass


@dataclass(slots=True)
class _Reader:
    text: str
    starts: list[int]
    at: int = 0
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def whole(self) -> Any:
        value = self.value((), 0)
        self.skip()
        if self.at < len(self.text):
            self.end("Something follows the end of the value.")
        return value

    def value(self, path: Path, depth: int) -> Any:
        first, begin = self.skip(), self.at
        self.lines.setdefault(path, self.line(begin))
        found = self.part(first, path, depth)
        self.spans[path] = (begin, self.at)
        return found

    def part(self, first: str, path: Path, depth: int) -> Any:
        if first == "{":
            return self.object(path, depth + 1)
        if first == "[":
            return self.array(path, depth + 1)
        if first == '"':
            return self.string(path)
        if match := _NUMBER.match(self.text, self.at):
            return self.number(match, path)
        return self.word(path)

    def object(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.enter(depth)
        while not self.closes("}", is_first=not found):
            if self.skip() != '"':
                self.end("A key in double quotes belongs here.")
            place = self.at
            key = self.string(path)
            if key in found:
                self.note(place, (*path, key), f"The key “{key[:100]}” is there twice.")
            self.lines[(*path, key)] = self.line(place)
            if self.skip() != ":":
                self.end("A colon belongs between key and value.")
            self.at += 1
            found[key] = self.value((*path, key), depth)
        return found

    def array(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        self.enter(depth)
        while not self.closes("]", is_first=not found):
            found.append(self.value((*path, len(found)), depth))
        return found

    def enter(self, depth: int) -> None:
        if depth > DEPTH:
            self.end(f"This is nested deeper than {DEPTH} levels.")
        self.at += 1

    def closes(self, bracket: str, *, is_first: bool) -> bool:
        """Whether the bracket is next; else past the comma that has to be there."""
        following = self.skip()
        if following == bracket:
            self.at += 1
            return True
        if is_first:
            return False
        if following != ",":
            self.end(f"A comma or {bracket} belongs here.")
        self.at += 1
        if self.skip() == bracket:
            self.end(f"A comma before {bracket} is not JSON.")
        return False

    def string(self, path: Path) -> str:
        place = self.at
        try:
            found, self.at = _TEXTS.raw_decode(self.text, place)
            text = str(found)
        except json.JSONDecodeError as error:
            self.at = min(error.pos, len(self.text))
            self.end("This text has no end, an unknown escape, or a line break or tab inside.")
        if _UNSTORABLE.search(text):
            self.note(place, path, "A text holds a NUL or half a character.")
        return text

    def number(self, match: re.Match[str], path: Path) -> int | float:
        place, text = self.at, match[0]
        self.at = match.end()
        if match[1] or match[2]:
            value = float(text)
            if math.isinf(value):
                self.note(place, path, "This number is too large.")
            return value
        # Longer texts are never converted: that takes quadratic time.
        if len(text) <= 20 and -_LARGEST - 1 <= (whole := int(text)) <= _LARGEST:
            return whole
        self.note(place, path, "This whole number does not fit into 64 bits.")
        return 0

    def word(self, path: Path) -> Any:
        match = _WORD.match(self.text, self.at)
        text = match[0] if match else ""
        if text in _WORDS:
            self.at += len(text)
            return _WORDS[text]
        if text not in ("NaN", "Infinity", "-Infinity"):
            self.end('A value belongs here: { [ " a number, true, false or null.')
        self.note(self.at, path, f"{text} is not JSON.")
        self.at += len(text)
        return None

    def skip(self) -> str:
        """Past blanks and line breaks; the character there, empty at the end."""
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def line(self, place: int) -> int:
        return bisect_right(self.starts, place)

    def note(self, place: int, path: Path, message: str) -> None:
        self.problems.append(Problem(self.line(place), path, message))
        if len(self.problems) >= _MOST_PROBLEMS:
            raise _Ended

    def end(self, message: str) -> NoReturn:
        self.problems.append(Problem(self.line(self.at), (), message))
        raise _Ended
