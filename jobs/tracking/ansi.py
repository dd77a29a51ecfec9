"""Terminal escapes, which colour a log and say nothing. Pure."""

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)|.)?")


def strip(text: str) -> str:
    """The text without them; one that was cut off at the end goes as far as it came."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text
