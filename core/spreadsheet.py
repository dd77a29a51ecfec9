"""Rows as lines of RFC 4180 that a spreadsheet opens without running anything in them."""

import csv
from collections.abc import Iterable, Iterator, Sequence

# A spreadsheet takes a cell that begins so for a formula, or for something to fetch.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """One line per row, the header first. Numbers stay numbers, None is an empty cell."""
    writer = csv.writer(_Line())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


class _Line:
    """A file for `csv.writer` whose `write` hands the line back."""

    def write(self, text: str) -> str:
        return text


def _cell(value: object) -> object:
    if value is None or isinstance(value, (int, float)):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
