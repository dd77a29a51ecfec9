"""Host keys as people give them: a fingerprint, or a line as `ssh-keyscan` prints it."""

import base64
import hashlib
import re
import struct
from itertools import pairwise

from core.errors import Invalid

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


def parse(text: str, field: str = "host_key") -> tuple[str, str]:
    """Fingerprint and algorithm of a host key; the algorithm is empty for a fingerprint.

    Takes `SHA256:…`, `TYPE BASE64 [comment]` and `HOST TYPE BASE64`; `Invalid` otherwise.
    """
    text = text.strip()
    if _FINGERPRINT.fullmatch(text):
        return text, ""
    words = text.split()
    for kind, blob in pairwise(words[:3]):
        if kind in _KINDS:
            return _fingerprint_of(kind, blob, field), kind
    raise _invalid(field)


def check_fingerprint(text: str, field: str) -> str:
    """`text`, if it is exactly a SHA256 fingerprint; `Invalid` otherwise."""
    if not _FINGERPRINT.fullmatch(text):
        raise Invalid.field(field, "A fingerprint is SHA256: and 43 characters.")
    return text


def _fingerprint_of(kind: str, blob: str, field: str) -> str:
    try:
        data = base64.b64decode(blob, validate=True)
        (length,) = struct.unpack_from(">I", data)
    except (ValueError, struct.error) as error:
        raise _invalid(field) from error
    if data[4 : 4 + length] != kind.encode() or len(data) <= 4 + length:
        raise _invalid(field)
    return "SHA256:" + base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _invalid(field: str) -> Invalid:
    return Invalid.field(
        field, "Give a fingerprint (SHA256:…) or a public key line (ssh-ed25519 AAAA…)."
    )
