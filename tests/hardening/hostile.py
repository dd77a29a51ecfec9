"""What a careless or hostile client sends, by the kind of thing that it pretends to be."""

from typing import Any

import pytest
from django.http import QueryDict

MOMENTS = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "2024-01-01T00:00:00+23:59",
    "2024-01-01T00:00:00-16:00",
    "0001-01-01",
    "9999-12-31",
    "0001-01-01T00:00",
    "2024-02-30T25:61:61Z",
)
WORDS = ("\x00", "a\x00b", "\u202e\x1b[2J", "x" * 12_000, "%", "\\", "'\"<&>", "�")
NUMBERS = ("9" * 5000, "-" + "9" * 5000, "-1", "1e400", "nan", "inf", str(2**63), "٣", "²", "1_0")
IDS = ("00000000-0000-0000-0000-000000000000", "{" + "f" * 32 + "}", "not-an-id", "f" * 33)
LISTS = (",", "," * 3000, "a,\x00,b", "/", "2024-01-01T00:00:00+23:59/9999-12-31T23:59:59-12:00")
TEXTS = (*MOMENTS, *WORDS, *NUMBERS, *IDS, *LISTS)
# Those that each field meets on its own.
ALONE = (MOMENTS[1], WORDS[1], NUMBERS[0])

# In the place of a field of a JSON body.
VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, 0, -1, 2**63 - 1, -(2**63), 1e308, 0.1, [], {}, [[]], {"a": {"b": [None]}},
    ["x"] * 1000, {str(number): number for number in range(1000)}, [None], "\n", "",
)  # fmt: skip
# As the body itself.
BODIES = (
    b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b'{"a": NaN}', b'{"a": 1e999}',
    b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b'{"a": ' + b"9" * 5000 + b"}", b"[" * 100_000,
    b'{"a":' * 100_000, b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", b'{"a": 1, "a": 2}',
)  # fmt: skip
CONTENT_TYPES = (
    "application/json; charset=nonsense", "application/json; charset=utf-16", "x" * 10_000, "",
    "multipart/form-data", "multipart/form-data; boundary=" + "b" * 300,
    "multipart/form-data; boundary=\x7f", "application/x-www-form-urlencoded; charset=no-such",
    "text/plain", "/", ";;;", "application/x-www-form-urlencoded; charset=utf-7",
)  # fmt: skip
# In the place of a part of a path, as it stands in the address.
PARTS = ("%00", "a%00b", "%2f", "..%2f..", "%ff", "%ed%a0%80", "9" * 5000, "%0a", "%u0000", "%")
# Django reads a thousand at most.
MANY_FIELDS = "&".join(f"f{number}=1" for number in range(1100))
_REPEATED = "&".join(f"{name}={value}" for name in ("limit", "page", "q") for value in (1, 2, "x"))
QUERIES = (_REPEATED, "%00=%ff&=&&=x&", "x" * 9000, "limit[]=1&q[a]=b", "a=%ed%a0%80&%zz=%")


def spy_on_fields(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """From now on, the names of the fields that views ask a query or a form for; to be cleared."""
    names: set[str] = set()

    def spied(method: str) -> Any:
        original = getattr(QueryDict, method)

        def ask(self: QueryDict, key: Any, *args: Any) -> Any:
            if isinstance(key, str):
                names.add(key)
            return original(self, key, *args)

        return ask

    for method in ("get", "getlist", "__getitem__", "__contains__"):
        monkeypatch.setattr(QueryDict, method, spied(method))
    return names
