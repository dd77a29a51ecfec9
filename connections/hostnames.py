"""The grammar of a machine's host name; `core.security.address_policy` judges where it leads."""

import re

from core.errors import Invalid
from core.security import hostnames
from core.security.address_policy import literal

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# The resolver reads `127.1`, `0x7f000001` and `2130706433` as addresses; people never mean them.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_hostname(text: str) -> str:
    """The name as it is stored: lower case, other alphabets in punycode; `Invalid` with a hint."""
    if address := literal(text):
        return str(address)
    if hint := _misuse(text):
        raise Invalid.field("hostname", hint)
    try:
        hostname = hostnames.ascii_form(text)
    except ValueError as error:
        raise Invalid.field("hostname", str(error)) from error
    labels = hostname.split(".")
    if len(hostname) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid.field(
            "hostname",
            "A host name has letters, digits and hyphens between dots, 253 characters at most.",
        )
    if _NUMBER.fullmatch(labels[-1]):
        raise Invalid.field("hostname", "Write an IPv4 address as four numbers: 192.168.1.20.")
    return hostname


def _misuse(text: str) -> str | None:
    """A hint for what people paste in place of a host name."""
    if not text:
        return "Give a host name or an address."
    if len(text) > 253:
        return "A host name has 253 characters at most."
    if "://" in text:
        return "Leave out the scheme: only the host name."
    if "@" in text:
        return "The user name goes into its own field."
    if "%" in text:
        return "Link-local addresses are not allowed."
    if text.startswith("["):
        return "Write an IPv6 address without brackets."
    if ":" in text:
        return "The port goes into its own field."
    if text.endswith("."):
        return "Leave out the dot at the end."
    return None
