"""The grammar that inputs of all apps share: strict types, no unknown fields, printable text.

Every moment that a client sends is a `Moment`, and every text is made of `Words` or `Prose` or has
a grammar of its own; `tests/api/test_grammar.py` looks at each field of each operation.
"""

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StrictStr,
    StringConstraints,
)

from core import times
from core.errors import SiteError
from core.openapi import without_defaults

# Overrides and isolates that make the rest of a line read backwards (UAX 9).
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


class UnsupportedMedia(SiteError):
    status, code, title = 415, "unsupported_media_type", "This kind of body is not understood"


class Input(BaseModel):
    """What a client sends: an unknown field is an error, not a typo that goes unseen."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


# `model_config` of an input whose fields are all left alone unless they are sent.
CHANGES = ConfigDict(json_schema_extra=without_defaults)


def printable(text: str) -> str:
    """`text`, if no character of it acts on what stands around it; `ValueError` otherwise."""
    for character in text:
        if unicodedata.category(character) in _CONTROL_CATEGORIES:
            raise ValueError("It holds a control character.")
        if character in _REORDERING:
            raise ValueError("It holds a character that reverses the direction of text.")
    return text


def name(text: str) -> str:
    """A name without outer blanks, 1 to 100 characters; `ValueError` otherwise."""
    text = printable(text).strip()
    if not 1 <= len(text) <= 100:
        raise ValueError("It has 1 to 100 characters.")
    return text


def prose(text: str) -> str:
    """`text` with line breaks of one kind; `ValueError` for any other control character."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(printable(line.replace("\t", " ")) for line in lines).strip()


# In UTC, of the years 2000 to 2099. Python and PostgreSQL each refuse more than the other does.
Moment = Annotated[AwareDatetime, AfterValidator(times.utc)]
# The same where a time without a zone has always been UTC.
ZonelessMoment = Annotated[datetime, AfterValidator(times.utc)]

# What makes a text fit for a line; after the bound, so that a long one is not looked through.
Printable = AfterValidator(printable)
# One line, and several; with a bound of its own:
# `Annotated[StrictStr, StringConstraints(max_length=100), Printable]`.
Words = Annotated[StrictStr, StringConstraints(max_length=500), Printable]
Prose = Annotated[StrictStr, StringConstraints(max_length=2000), AfterValidator(prose)]
# Outer blanks beyond the bound of a name are no reason to refuse it.
Name = Annotated[StrictStr, StringConstraints(max_length=1000), AfterValidator(name)]


class Output(BaseModel):
    """What the API answers; a key that is not declared is a mistake of ours and shows in tests."""

    model_config = ConfigDict(extra="forbid")
