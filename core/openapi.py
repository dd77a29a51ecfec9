"""What a route, or a field, says about itself for `openapi.json` beyond its types.

Nothing here changes what is answered: `dgxsite.openapi` reads it when the document is made.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from core.errors import SiteError

# Where these stand in an operation and in a schema until the document is complete.
ERRORS = "x-errors"
NAME = "x-name"

# A moment as `core.times.iso` writes it.
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Choice:
    """Documents a text as one of `values` – those of its type, if none are given – under a name.

    It checks nothing: an output that an older release wrote is answered all the same. `names` are
    for values that are no identifiers.
    """

    def __init__(
        self, name: str, values: Iterable[str] | None = None, *, names: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._values = None if values is None else list(values)
        self._names = list(names)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler(schema)
        values = found["enum"] if self._values is None else self._values
        named = {"x-enum-varnames": self._names} if self._names else {}
        return {"type": "string", "enum": [str(one) for one in values], NAME: self.name} | named


def without_defaults(schema: dict[str, Any]) -> None:
    """For a body of changes, in which a field that is not sent stays as it is."""
    schema.pop("required", None)
    for field in schema["properties"].values():
        field.pop("default", None)


def raises(*kinds: type[SiteError]) -> dict[str, Any]:
    """`openapi_extra` of a route with errors of its own; what all have in common is derived."""
    return {ERRORS: list(kinds)}


def file(*media_types: str) -> dict[str, Any]:
    """`openapi_extra` of a route that answers bytes, of one of these types.

    `application/octet-stream` stands first: generated clients take the first that they know, and
    would read a file that may be text as text.
    """
    schema = {"type": "string", "format": "binary"}
    return _answers(schema, "application/octet-stream", *media_types)


def text(media_type: str) -> dict[str, Any]:
    """`openapi_extra` of a route that answers text."""
    return _answers({"type": "string"}, media_type)


def _answers(schema: dict[str, Any], *media_types: str) -> dict[str, Any]:
    types = [one.partition(";")[0] for one in media_types]
    return {"responses": {200: {"content": {one: {"schema": schema} for one in types}}}}
