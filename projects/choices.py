"""Which projects a list shows, and in which order: the same for the API and the pages."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from projects.models import Project

# What the address says → the columns; a column's own name decides between equals.
ORDERS = {
    "name": "name",
    "machine": "connection__name",
    "type": "project_type",
    "status": "status",
    "activity": "last_activity_at",
}


def narrowed(
    rows: QuerySet[Project],
    *,
    connection_id: UUID | None = None,
    status: str | None = None,
    project_type: str | None = None,
    text: str = "",
) -> QuerySet[Project]:
    """The rows that fit everything that was asked for; None and "" ask for nothing."""
    wanted: dict[str, Any] = {
        "connection_id": connection_id,
        "status": status,
        "project_type": project_type,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    if text:
        has_text = Q(name__icontains=text) | Q(remote_path__icontains=text)
        rows = rows.filter(has_text | Q(description__icontains=text))
    return rows


def ordered(rows: QuerySet[Project], by: str, *, descending: bool = False) -> QuerySet[Project]:
    """Sorted by one of `ORDERS`, by name if it is none of them."""
    column = ORDERS.get(by, "name")
    return rows.order_by(f"-{column}" if descending else column, "name", "pk")
