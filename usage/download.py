"""Lines of usage as rows of a CSV: the names and numbers of the API."""

from collections.abc import Sequence

from usage import serializers
from usage.models import UsageSettings
from usage.report import Line, Scope
from usage.schemas import UsageLine, UsageNumbers

_KEYS = ("owner", "user", "container", "connection_id", "connection_name", "gpu", "start")
_NUMBERS = tuple(UsageNumbers.model_fields)
assert {*_KEYS, *_NUMBERS} == set(UsageLine.model_fields)


def header() -> Sequence[str]:
    """The names of the columns; `currency` says what `cost` is counted in."""
    return (*_KEYS, *_NUMBERS, "currency")


def row(line: Line, machines: Scope, prices: UsageSettings) -> Sequence[object]:
    """One line; an absent value is None."""
    values = serializers.line_dict(line, machines, prices)
    return (*(values[name] for name in (*_KEYS, *_NUMBERS)), prices.currency or None)
