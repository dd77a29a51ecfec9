"""Texts that no honest machine prints, made of what a parser expects: for time, not for meaning.

A family takes an example that the parser understands, cuts it somewhere, and repeats a piece there
until the text is as long as wanted. What makes a grammar slow – blanks, digits, brackets, quotes,
markers without an end, its own separators – is among the pieces, as are the example's own words.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Pieces that are repeated in every example.
PIECES = (
    " ", "\t", "\n", "\r", "\x00", "\x1b", "\x1b[", "\x1b]", "\x1b[0;", "a", "A", "_", "0", "9",
    "1 ", "1.", "1_", ".", ",", ", ", ":", ";", "/", "\\", "|", "│", "=", "==", "=1", "a=1 ", "1e",
    "-", "+", "(", ")", "()", "[", "]", "{", "}", "{}", "[]", '{"a":', "<", ">", "<a>", "<a/>",
    "<gpu>", "&", "'", '"', "\\'", '\\"', '"a",', "%", "%|", "1%|", "#", "@", "a@", "?", "~", "é",
    "²", "\u2028", "(UUID:", "Error", "ErrorError:", "MIG ", "GPU 0: ", "\n\n", " \n", "\r=", "\rE",
    "x:", "::",
)  # fmt: skip
# Pieces by two, so that two repetitions beside each other are tried as well.
_PAIRS = tuple(
    one + other for one in " 1a.=,'\"[({|/:" for other in " 1a.=,'\"])}|/:" if one != other
)
_TOKEN = re.compile(r"[A-Za-z_]+|\d+|\s+|[^\w\s]")
_MOST_CUTS = 24


@dataclass(frozen=True, slots=True)
class Family:
    """`head`, then `piece` again and again, then `tail`."""

    head: str
    piece: str
    tail: str

    def text(self, size: int) -> str:
        """The member of about `size` characters."""
        room = max(size - len(self.head) - len(self.tail), len(self.piece))
        return self.head + self.piece * (room // len(self.piece)) + self.tail

    def __str__(self) -> str:
        return f"…{self.head[-30:]!r} + {self.piece[:30]!r} * n + {self.tail[:30]!r}…"


def families(examples: Sequence[str]) -> list[Family]:
    """Every family of these examples; some thousands."""
    found = [Family(*parts) for parts in _plain()]
    for example in examples:
        pieces = (*PIECES, *_PAIRS, *_own_pieces(example))
        found += [
            Family(example[:cut], piece, example[cut:])
            for cut in _cuts(example)
            for piece in pieces
        ]
    return found


def chosen(examples: Sequence[str], most: int, seed: int) -> list[Family]:
    """`most` of them: the plain ones, and of the others as many as the dice say."""
    every = families(examples)
    plain = len(list(_plain()))
    rest = every[plain:]
    count = min(len(rest), max(0, most - plain))
    return every[:plain] + random.Random(seed).sample(rest, count)


def _plain() -> Iterator[tuple[str, str, str]]:
    """One piece alone."""
    return (("", piece, "") for piece in PIECES)


def _own_pieces(example: str) -> list[str]:
    """Its words, its lines, and all of it."""
    lines = example.splitlines(keepends=True)
    return [*dict.fromkeys([*_TOKEN.findall(example)[:40], *lines[:10], example])]


def _cuts(example: str) -> list[int]:
    """Places between its words, spread over all of it."""
    places = [0, *(match.end() for match in _TOKEN.finditer(example))]
    step = max(1, -(-len(places) // _MOST_CUTS))
    return places[::step]
