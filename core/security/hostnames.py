"""Host names in the one form that is stored, asked for and compared: ASCII in lower case.

Names in other alphabets follow IDNA 2008, which is strict where Python's own codec (IDNA 2003)
drops or maps: invisible characters, look-alike widths, a letter that is written in two parts. So
no two texts that differ on the screen, or do not, become one name. Pure.
"""

import unicodedata

import idna

_LONGEST = 253
_PUNYCODE = "xn--"


def ascii_form(text: str) -> str:
    """The name in ASCII; `ValueError` for what IDNA 2008 refuses. Says nothing about its grammar.

    Labels of plain ASCII pass as they are, also with an underscore; those that are in punycode
    already have to stand for a name that is allowed.
    """
    if len(text) > _LONGEST:
        raise ValueError("A host name has 253 characters at most.")
    return ".".join(_label(label) for label in _lower(text).split("."))


def _lower(text: str) -> str:
    """In lower case; a sign that only looks like a letter (Kelvin) is left to be refused."""
    return "".join(
        letter.lower() if letter == unicodedata.normalize("NFC", letter) else letter
        for letter in text
    )


def _label(label: str) -> str:
    if label.isascii() and not label.startswith(_PUNYCODE):
        return label
    try:
        if label.isascii():
            idna.ulabel(label)
            return label
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(
            "This is not a host name: a part of it has a character that names may not have, "
            "or one that cannot be seen."
        ) from error
