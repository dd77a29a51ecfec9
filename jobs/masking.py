"""Secrets of a job's environment, as they must not be kept or shown. Pure.

A masked byte is replaced by one `*`, so that offsets stay those of the machine's file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.security import secret_names

# A shorter value stands in every second line by chance.
SHORTEST = 4
# Repeated parts are compared so many bytes at once.
_STRIDE_BYTES = 4096
# Where a secret may begin is searched by so many of its first bytes, and looked at so often.
_HEAD_BYTES = 16
_MOST_LOOKS = 64


def is_secret(name: str, marked: Iterable[str] = ()) -> bool:
    """Whether a variable's value is to be hidden: by its name, or because somebody said so."""
    return name in set(marked) or secret_names.is_secret_variable(name)


def secrets_of(
    environment: Mapping[str, str], marked: Iterable[str] = (), others: Iterable[str] = ()
) -> list[bytes]:
    """The values to hide in a log, the longest first; `others` beside those of variables."""
    marked = set(marked)
    values = {value.encode() for name, value in environment.items() if is_secret(name, marked)}
    values |= {value.encode("utf-8", "surrogatepass") for value in others}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


def mask(data: bytes, secrets: Iterable[bytes], *, is_end: bool) -> bytes:
    """`data` with every secret starred out; unless `is_end`, without a tail that may begin one."""
    secrets = list(secrets)
    kept = len(data) if is_end else len(data) - max((_begun(data, s) for s in secrets), default=0)
    masked = bytearray(data)
    for secret in secrets:
        for begin, end in _spans(data, secret):
            masked[begin:end] = b"*" * (end - begin)
    return bytes(masked[:kept])


def _spans(data: bytes, secret: bytes) -> Iterator[tuple[int, int]]:
    """Where `secret` stands, beginnings and ends; places that overlap evenly are one.

    Two places that overlap repeat a part of the secret. As long as that part goes on the text is
    walked along by it, so that `aaaa` in a megabyte of `a` costs no search for each of them.
    """
    at = data.find(secret)
    while at >= 0:
        end = at + len(secret)
        following = data.find(secret, at + 1, end + len(secret) - 1)
        step = following - at
        if following >= 0:
            end += _repeated(data, end, secret[-step:])
        yield at, end
        at = data.find(secret, end - len(secret) + 1)


def _repeated(data: bytes, start: int, part: bytes) -> int:
    """How many bytes from `start` on are `part` again and again."""
    end = start
    for unit in (part * max(1, _STRIDE_BYTES // len(part)), part):
        while data.startswith(unit, end):
            end += len(unit)
    return end - start


def mask_values(value: Any, secrets: Sequence[bytes]) -> Any:
    """The same lists and objects with every secret starred out of their texts.

    So is what stands under a name such as `api_key`, which in a configuration nobody has marked.
    """
    return _without(secret_names.masked(value), secrets)


def _without(value: Any, secrets: Sequence[bytes]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, secrets) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(one, secrets) for one in value]
    if isinstance(value, str):
        return mask(value.encode("utf-8", "surrogatepass"), secrets, is_end=True).decode(
            "utf-8", "replace"
        )
    return value


def _begun(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `secret`.

    It is exactly that many, except of a secret whose own first bytes come again and again in it:
    there it may be more, and the rest comes with what follows.
    """
    tail = data[-(len(secret) - 1) :]
    first = secret[:_HEAD_BYTES]
    begun = _longest(tail, secret, first) if len(tail) >= len(first) else 0
    short = range(min(len(first) - 1, len(tail)), 0, -1)
    return begun or next((count for count in short if tail.endswith(first[:count])), 0)


def _longest(tail: bytes, secret: bytes, head: bytes) -> int:
    """The same, of beginnings that have all of `head`."""
    at = tail.find(head)
    for _ in range(_MOST_LOOKS):
        if at < 0:
            return 0
        if secret.startswith(tail[at:]):
            return len(tail) - at
        at = tail.find(head, at + 1)
    return len(tail) - at if at >= 0 else 0
