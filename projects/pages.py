"""What the pages about projects need to know, beside the rows themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, QuerySet

from accounts.models import Membership, Role, User
from accounts.policy import Caller, may, roles_from
from projects import attached, choices, services
from projects.models import LONG_TEXTS, Project, Status

PAGE = 24

# Key in the address, title, class of the column.
COLUMNS = (
    ("name", "Name"),
    ("machine", "Machine"),
    ("type", "Type"),
    ("status", "Status"),
    ("activity", "Last activity"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the address says: which projects, in which order, as cards or as a table."""

    text: str = ""
    status: str = ""
    sort: str = "name"
    is_descending: bool = False
    is_table: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Choice":
        """Anything that is not known counts as not said."""
        status, sort = query.get("status", ""), query.get("sort", "")
        return cls(
            text=query.get("q", "").replace("\x00", "")[:100].strip(),
            status=status if status in Status.values else "",
            sort=sort if sort in choices.ORDERS else "name",
            is_descending=query.get("dir") == "desc",
            is_table=query.get("view") == "table",
        )


def listing(rows: QuerySet[Project], choice: Choice, number: str | None) -> dict[str, Any]:
    """One page of `rows`, how many there are of each status, and the jobs of those shown."""
    fitting = choices.narrowed(rows.defer(*LONG_TEXTS), status=choice.status, text=choice.text)
    ordered = choices.ordered(fitting, choice.sort, descending=choice.is_descending)
    page = Paginator(ordered, PAGE).get_page(number)
    jobs = attached.job_counts([row.pk for row in page.object_list])
    counts = dict(rows.order_by().values_list("status").annotate(Count("pk")))
    return {
        "choice": choice,
        "columns": COLUMNS,
        "page": page,
        "lines": [(row, jobs[row.pk] if jobs else None) for row in page.object_list],
        "counts": [(status, counts.get(status, 0)) for status in Status.values],
        "total": sum(counts.values()),
    }


def project_context(caller: Caller, row: Project) -> dict[str, Any]:
    """The row and what this person may do with it."""
    return {
        "project": row,
        "connection": row.connection,
        "may_operate": may(caller, "project.change", row.team),
    }


def may_add(user: User) -> bool:
    """Whether there is a team on whose machines this person may make projects."""
    if user.is_superuser:
        return True
    return Membership.objects.filter(user=user, role__in=roles_from(Role.OPERATOR)).exists()


def deleted_by(caller: Caller, text: str) -> Project | None:
    """The project that `?deleted=` names, if the person may bring it back and it is fresh."""
    return services.trash(caller).just_deleted(text)
