"""What changes between two texts, line by line, for a person to look at before it is saved."""

import difflib
from collections.abc import Iterator
from typing import NamedTuple

# difflib takes quadratic time; beyond this the changed part is shown whole.
_MOST_LINES = 2000
_CONTEXT_LINES = 2


class Line(NamedTuple):
    """`kind` is `same`, `removed`, `added` or `skipped` (then `text` is empty)."""

    kind: str
    text: str


def between(before: str, after: str) -> list[Line]:
    """The changed lines with two around each; nothing if the texts are equal."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return []
    if max(len(old), len(new)) > _MOST_LINES:
        return _coarse(old, new)
    groups = difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT_LINES)
    found: list[Line] = []
    for group in groups:
        if found or group[0][1] > 0:
            found.append(Line("skipped", ""))
        for tag, a, b, c, d in group:
            found += _lines(tag == "equal", old[a:b], new[c:d])
    return found


def _coarse(old: list[str], new: list[str]) -> list[Line]:
    start = _common(zip(old, new, strict=False))
    end = _common(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    return _lines(False, removed[:_MOST_LINES], added[:_MOST_LINES])


def _common(pairs: Iterator[tuple[str, str]]) -> int:
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _lines(is_same: bool, old: list[str], new: list[str]) -> list[Line]:
    if is_same:
        return [Line("same", text) for text in old]
    return [Line("removed", text) for text in old] + [Line("added", text) for text in new]
