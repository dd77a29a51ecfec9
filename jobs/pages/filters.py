"""Which jobs a list shows, and in which order, as the address says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from jobs.models import ACTIVE, WAITING, Job, Status

# What the address says → the columns. Equals stand with the newest first.
ORDERS = {
    "made": "created_at",
    "name": "name",
    "status": "status",
    "machine": "connection__name",
    "started": "started_at",
}
# Words for several states, beside the states themselves.
GROUPS: dict[str, frozenset[str]] = {
    "waiting": frozenset(WAITING),
    "active": frozenset(ACTIVE),
    **{str(status): frozenset({status}) for status in Status},
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The filters and the order; empty asks for nothing."""

    text: str = ""
    status: str = ""
    machine: UUID | None = None
    project: UUID | None = None
    person: str = ""
    sort: str = "made"
    is_descending: bool = True

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Choice":
        """Anything that is not known counts as not said."""
        status, sort = query.get("status", ""), query.get("sort", "made")
        sort = sort if sort in ORDERS else "made"
        return cls(
            text=_word(query, "q"),
            status=status if status in GROUPS else "",
            machine=_uuid(query.get("machine", "")),
            project=_uuid(query.get("project", "")),
            person=_word(query, "person"),
            sort=sort,
            is_descending=query.get("dir", "desc" if sort == "made" else "") == "desc",
        )

    @property
    def is_empty(self) -> bool:
        return not any((self.text, self.status, self.machine, self.project, self.person))


def narrowed(rows: QuerySet[Job], choice: Choice) -> QuerySet[Job]:
    """The rows that fit everything but the status, which the list counts."""
    wanted: dict[str, Any] = {
        "connection_id": choice.machine,
        "project_id": choice.project,
        "requested_by__username": choice.person,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    if choice.text:
        has_text = Q(name__icontains=choice.text) | Q(model_name__icontains=choice.text)
        rows = rows.filter(has_text | Q(command__icontains=choice.text))
    return rows


def of_status(rows: QuerySet[Job], choice: Choice) -> QuerySet[Job]:
    return rows.filter(status__in=GROUPS[choice.status]) if choice.status else rows


def ordered(rows: QuerySet[Job], choice: Choice) -> QuerySet[Job]:
    column = ORDERS[choice.sort]
    return rows.order_by(f"-{column}" if choice.is_descending else column, "-created_at", "-pk")


def _word(query: Mapping[str, str], name: str) -> str:
    return query.get(name, "").replace("\x00", "")[:150].strip()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
