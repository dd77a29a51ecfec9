"""The strict reader agrees with Python's where PostgreSQL can follow, and refuses the rest."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import strict_json
from core.errors import Invalid, SiteError, TooLarge

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_VALUES, st.booleans())
def test_reads_back_what_was_written(value: Any, ascii_only: bool) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text('[]{}",:\\u0dE-1 \n', max_size=100).map(str.encode))
def test_raises_nothing_but_our_errors(raw: bytes) -> None:
    with suppress(Invalid, TooLarge):
        strict_json.loads(raw)


@pytest.mark.parametrize("depth", [31, 32])
def test_thirty_two_levels_are_read(depth: int) -> None:
    strict_json.loads(b"[" * depth + b"]" * depth)


def test_brackets_in_text_are_no_nesting() -> None:
    assert strict_json.loads(json.dumps("[" * 100 + '\\"').encode()) == "[" * 100 + '\\"'


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * 500_000,
        b'"' * 1_000_000,
        b"\\" * 1_000_000,
        b"1" * 1_000_000,
        b"[" * 1_000_000,
        b'{"a":' + b"1" * 900_000 + b".0}",
        b" " * 1_000_000,
    ],
)
def test_a_mebibyte_of_malice_is_refused_quickly(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(SiteError):
        strict_json.loads(raw)
    assert time.process_time() - began < 2
