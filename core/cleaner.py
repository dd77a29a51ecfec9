"""Text from outside, made fit for a row, a page, a log line and a terminal.

What a machine, its container engine, a job or a webhook says goes through here before anything
else is done with it. PostgreSQL takes neither a NUL nor half of a surrogate pair, a terminal obeys
escapes, a page turns around at an override: none of them is left, and what is left is short. Text
from people is not mended but refused, by `dgxsite.schemas`.
"""

import codecs
from collections.abc import Mapping
from typing import Any

# How much is looked at for each character that is kept: blanks that become one cost little, and
# a text of a megabyte costs no more than a short one.
_LOOKED_AT = 4
# Blanks of all scripts; what else cannot be printed acts on what stands around it.
_SPACES = frozenset("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000")


def line(said: str | bytes, limit: int, *, unseen: str = " ") -> str:
    """One line of at most `limit` characters; `unseen` stands where one has no place in a line."""
    return _cleaned(_start(said, limit), "", unseen)[:limit]


def words(said: str | bytes, limit: int) -> str:
    """The same without outer blanks, and one blank for many: what somebody said, as a quotation."""
    return " ".join(_cleaned(_start(said, limit), "", " ").split())[:limit].rstrip()


def text(said: str | bytes, limit: int) -> str:
    """At most `limit` characters, with tabs, and every kind of line end as a newline."""
    start = _start(said, limit).replace("\r\n", "\n").replace("\r", "\n")
    return _cleaned(start, "\n\t", " ")[:limit]


def _start(said: str | bytes, limit: int) -> str:
    """The part that is looked at; bytes that are no UTF-8 become replacement characters."""
    part = said[: _LOOKED_AT * limit]
    if isinstance(part, str):
        return part
    # A character that only our cut has broken is left out, not shown as a broken one.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(part, final=len(part) == len(said))


def _cleaned(part: str, kept: str, unseen: str) -> str:
    """`unseen` for every character that has no place in text; `kept` are allowed all the same."""
    if part.isprintable():
        return part
    return "".join(c if c.isprintable() or c in _SPACES or c in kept else unseen for c in part)


def values(said: Any, limit: int) -> Any:
    """The same lists, objects and numbers, with every text in them as `line` makes it."""
    if isinstance(said, str):
        return line(said, limit)
    if isinstance(said, Mapping):
        return {line(str(name), limit): values(one, limit) for name, one in said.items()}
    if isinstance(said, (list, tuple)):
        return [values(one, limit) for one in said]
    return said
