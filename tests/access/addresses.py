"""Every address of the site, with the objects of one team in the places of its parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

# `<uuid:name>` and `(?P<name>…)`, the second with one level of brackets inside.
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True, slots=True)
class Address:
    """One route and a path that leads to it."""

    route: str
    path: str

    @property
    def is_api(self) -> bool:
        return self.route.startswith("api/")

    @property
    def names_an_object(self) -> bool:
        return bool(_PARAMETER.search(self.route))


def every_route() -> list[str]:
    """Each route once, as the resolver spells it."""
    return list(dict.fromkeys(_walk(get_resolver(), "")))


def _walk(resolver: Any, start: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        part = str(pattern.pattern)
        route = start + (part.removeprefix("^") if start else part)  # as the resolver joins them
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield route


def address_of(route: str, values: dict[str, Any]) -> Address:
    """The address with an object in each place; a parameter that `values` lacks is a KeyError."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        model = re.match(r"admin/(\w+)/(\w+)/", route)
        key = f"{model[1]}.{model[2]}" if model and name in ("object_id", "id") else name
        return str(values[key])

    path = _PARAMETER.sub(value, route)
    return Address(route, "/" + path.replace("^", "").replace("$", "").replace("\\", ""))
