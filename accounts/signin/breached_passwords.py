"""Passwords that are known from breaches, looked up in a file on this server.

The file is what the project "Have I Been Pwned" offers for download: one SHA-1 in capitals and a
count per line, sorted by the hash. It is searched by halving, so that its forty gigabytes are
neither read nor kept; no service outside is asked. Without `DGX_BREACHED_PASSWORDS` this takes no
part.
"""

import hashlib
import logging
from pathlib import Path
from typing import BinaryIO

from django.core.exceptions import ValidationError

logger = logging.getLogger(__name__)

_HASH = 40  # hexadecimal digits of a SHA-1
_LINE = 64  # longer than any line of the file


class KnownFromBreaches:
    """Django's hook for passwords: refuses one that stands in the file at `path`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def validate(self, password: str, user: object = None) -> None:
        """Raises `ValidationError`; a file that cannot be read is logged and refuses nobody."""
        wanted = hashlib.sha1(password.encode("utf-8", "replace"), usedforsecurity=False)
        try:
            is_known = contains(self.path, wanted.hexdigest().upper().encode())
        except OSError as error:
            logger.error("DGX_BREACHED_PASSWORDS cannot be read: %s", error)
            return
        if is_known:
            raise ValidationError(
                "This password is known from a breach elsewhere. Choose another one.",
                code="password_breached",
            )

    def get_help_text(self) -> str:
        return "Your password can't be one that is known from a breach."


def contains(path: Path, wanted: bytes) -> bool:
    """Whether a line of the sorted file begins with this hash; some 35 short reads."""
    with path.open("rb") as file:
        low, high = 0, file.seek(0, 2)
        while low < high:
            middle = (low + high) // 2
            found, end = _line_after(file, middle)
            if found == wanted:
                return True
            # A line begins at or before `middle`: what is smaller lies behind its end.
            if found and found < wanted:
                low = end
            else:
                high = middle
    return False


def _line_after(file: BinaryIO, place: int) -> tuple[bytes, int]:
    """The hash of the first line that begins at `place` or later, and where that line ends."""
    file.seek(max(0, place - 1))
    if place:
        file.readline(_LINE)  # the rest of the line before; only its end, if one begins here
    line = file.readline(_LINE)
    return line[:_HASH], file.tell()
