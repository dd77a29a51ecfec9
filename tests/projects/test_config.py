"""Configurations: what is taken, every mistake with its line, and schemas that mean harm."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import strict_json
from core.errors import Invalid, SiteError, TooLarge
from projects import config, json_lines

DEEP = json_lines.DEPTH

HOSTILE = (
    ('{"a": NaN}', "NaN is not JSON"),
    ('{"a": -Infinity}', "-Infinity is not JSON"),
    ('{"a": 1e999}', "too large"),
    ('{"a": 9223372036854775808}', "64 bits"),
    ('{"a": ' + "9" * 5000 + "}", "64 bits"),
    ('{"a": 1, "a": 2}', "there twice"),
    (r'{"a": "\u0000"}', "NUL or half a character"),
    (r'{"\ud800": 1}', "NUL or half a character"),
    ('{"a": "\t"}', "line break or tab"),
    ('{"a": "b', "no end"),
    ("[" * 100_000, "nested deeper than 31"),
    ('{"a":' * 50_000, "nested deeper than 31"),
    ('{"a": 1,}', "comma before }"),
    ('{"a" 1}', "colon"),
    ("{'a': 1}", "key in double quotes"),
    ('{"a": 01}', "comma or }"),
    ('{"a": tru}', "A value belongs here"),
    ('{"a": }', "A value belongs here"),
    ('{"a": 1} {}', "follows the end"),
    ("[1]", "It is an object"),
    ('"text"', "It is an object"),
    ("\ufeff{}", "A value belongs here"),
)


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=[m for _, m in HOSTILE])
def test_what_is_no_configuration_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(config.Broken) as refused:
        config.check("\n\n" + text, "")
    assert refused.value.problems[0].line == (1 if "an object" in message else 3)
    assert message in refused.value.problems[0].message
    assert refused.value.status == 422


def test_every_mistake_is_told_at_once_with_line_and_place() -> None:
    text = (
        '{\n "a": NaN,\n "b": {\n  "c": 1,\n  "c": 1e999\n },\n "d": [1, 99999999999999999999]\n}'
    )
    with pytest.raises(config.Broken) as refused:
        config.check(text, "")
    assert [(p.line, p.path) for p in refused.value.problems] == [
        (2, ("a",)),
        (5, ("b", "c")),
        (5, ("b", "c")),
        (7, ("d", 1)),
    ]
    assert refused.value.errors[0].field == "config.a"
    assert refused.value.errors[0].message.startswith("Line 2: ")


def test_the_text_is_kept_as_it_was_written() -> None:
    text = '{ "z": 1.0,\n\t"__proto__": {"constructor": 1e3}, "a": [] }'
    assert config.check(text, "").config_text == text
    assert config.check("  \n", "").config_text == "{}"


def test_sizes_have_a_limit() -> None:
    fits = '{"a": "' + "ü" * (128 * 1024 - 8) + '"}'
    assert config.check(fits, "").config_text == fits
    with pytest.raises(TooLarge):
        config.check('{"a": "' + "ü" * 128 * 1024 + '"}', "")
    with pytest.raises(TooLarge):
        config.as_text("config", {"a": "x" * 256 * 1024})


def test_a_large_object_of_the_api_can_be_read_back_by_the_editor() -> None:
    """Indented it would be larger than what the editor may send."""
    value = {"a": [[0] * 10] * 10_000}
    text = config.as_text("config", value)
    assert json.loads(config.check(text, "").config_text) == value


def test_a_number_is_not_read_in_quadratic_time() -> None:
    start = time.monotonic()
    with pytest.raises(config.Broken):
        config.check('{"a": ' + "1" * 250_000 + "}", "")
    assert time.monotonic() - start < 2


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=100, deadline=None)
@given(value=_json, cut=st.integers(0, 200), indent=st.sampled_from([None, 2]))
def test_reads_exactly_what_a_request_may_hold(value: object, cut: int, indent: int | None) -> None:
    """Whole texts and texts that end somewhere: both readers take the same, to the same value."""
    whole = json.dumps(value, ensure_ascii=True, indent=indent)
    for text in (whole, whole[:cut]):
        read = json_lines.read(text)
        try:
            expected = strict_json.loads(text.encode())
        except Invalid:
            assert read.problems
        else:
            assert not read.problems
            assert json.dumps(read.value) == json.dumps(expected)


def test_depth_is_that_of_the_api_around_it() -> None:
    fits = '{"a":' * DEEP + "1" + "}" * DEEP
    assert config.check(fits, "").config_text == fits
    strict_json.loads(b'{"config": ' + fits.encode() + b"}")
    with pytest.raises(SiteError):
        config.check('{"a":' + fits + "}", "")


SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["epochs"],
        "properties": {"optimizer": {"properties": {"lr": {"type": "number", "maximum": 1}}}},
    }
)


def test_a_schemas_errors_stand_at_their_lines() -> None:
    text = '{\n  "optimizer": {\n    "name": "adam",\n    "lr": "high"\n  }\n}'
    with pytest.raises(config.Broken) as refused:
        config.check(text, SCHEMA)
    problems = refused.value.problems
    assert [(p.line, p.path) for p in problems] == [(1, ()), (4, ("optimizer", "lr"))]
    assert "'epochs' is a required property" in problems[0].message
    assert config.check('{"epochs": 3, "optimizer": {"lr": 0.1}}', SCHEMA).schema_text == SCHEMA


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{\n"type": "nothing"}', "is not valid under any"),
        ('{"$ref": "http://127.0.0.1:9/schema"}', "A $ref leads nowhere"),
        ('{"$ref": "file:///etc/passwd"}', "A $ref leads nowhere"),
        ('{"$ref": "#"}', "leads back to itself"),
        ('{"properties": {"a": {"pattern": "(a+)+$"}}}', "too long or too much memory"),
        ('{"$schema": "http://127.0.0.1:9/own", "type": "array"}', "is not of type"),
    ],
)
def test_a_schema_that_means_harm_ends_in_a_sentence(schema: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(config.Broken) as refused:
        config.check(json.dumps({"a": "a" * 60 + "b"}), schema)
    assert message in refused.value.problems[0].message
    assert time.monotonic() - start < 15


def test_a_schemas_own_mistake_names_its_line() -> None:
    with pytest.raises(config.Broken) as refused:
        config.check("{}", '{\n  "properties": {\n    "a": {"type": 5}\n  }\n}')
    assert refused.value.about == "config_schema"
    assert refused.value.problems[0].line == 3
