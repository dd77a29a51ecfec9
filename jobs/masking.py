"""Secrets of a job's environment, as they must not be kept or shown. Pure.

A masked byte is replaced by one `*`, so that offsets stay those of the machine's file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# A shorter value stands in every second line by chance.
SHORTEST = 4
_STARS = "********"
# Narrower than for variables: `tokenizer` and `max_tokens` stand in most configurations.
_NAMES_SECRET = re.compile(
    r"(?:^|[_.-])(?:token|(?:api|access|private|secret)_?key|secret|password|passwd|credentials?)$",
    re.IGNORECASE,
)
_SOUNDS_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def is_secret(name: str, marked: Iterable[str] = ()) -> bool:
    """Whether a variable's value is to be hidden: by its name, or because somebody said so."""
    return name in set(marked) or _SOUNDS_SECRET.search(name) is not None


def secrets_of(environment: Mapping[str, str], marked: Iterable[str] = ()) -> list[bytes]:
    """The values to hide in a log, the longest first."""
    marked = set(marked)
    values = {value.encode() for name, value in environment.items() if is_secret(name, marked)}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


def mask(data: bytes, secrets: Iterable[bytes], *, is_end: bool) -> bytes:
    """`data` with every secret starred out; unless `is_end`, without a tail that may begin one."""
    secrets = list(secrets)
    kept = len(data) if is_end else len(data) - max((_begun(data, s) for s in secrets), default=0)
    masked = bytearray(data)
    for secret in secrets:
        at = data.find(secret)
        while at >= 0:
            masked[at : at + len(secret)] = b"*" * len(secret)
            at = data.find(secret, at + 1)
    return bytes(masked[:kept])


def mask_values(value: Any, secrets: Sequence[bytes]) -> Any:
    """The same lists and objects with every secret starred out of their texts.

    So are texts under a name such as `api_key`, which in a configuration nobody has marked.
    """
    if isinstance(value, dict):
        return {
            name: _STARS if _is_secret_text(name, one) else mask_values(one, secrets)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [mask_values(one, secrets) for one in value]
    if isinstance(value, str):
        return mask(value.encode("utf-8", "surrogatepass"), secrets, is_end=True).decode(
            "utf-8", "replace"
        )
    return value


def _is_secret_text(name: str, value: object) -> bool:
    return isinstance(value, str) and bool(value) and _NAMES_SECRET.search(name) is not None


def _begun(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of `secret`."""
    tail = data[-(len(secret) - 1) :]
    at = tail.find(secret[:1])
    while at >= 0:
        if secret.startswith(tail[at:]):
            return len(tail) - at
        at = tail.find(secret[:1], at + 1)
    return 0
