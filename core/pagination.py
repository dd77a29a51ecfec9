"""Lists: `{"items": [...], "count": n}` with `?limit=` (1 to 500) and `?offset=`."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from pydantic import BaseModel, ConfigDict, Field

Row = TypeVar("Row", bound=Model)

LARGEST_PAGE = 500
LARGEST_OFFSET = 10_000_000


class Page(BaseModel):
    """Which part of a list is asked for."""

    model_config = ConfigDict(frozen=True)

    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = 100
    offset: Annotated[int, Field(ge=0, le=LARGEST_OFFSET)] = 0


def listing(
    rows: QuerySet[Row, Row], page: Page, as_dict: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """The asked part of `rows` and how many there are in all; `rows` must be ordered."""
    part = rows[page.offset : page.offset + page.limit]
    return {"items": [as_dict(row) for row in part], "count": rows.count()}
