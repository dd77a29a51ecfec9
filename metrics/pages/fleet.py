"""The lines of the overview: filtered, sorted and paged, with the sums above them.

Functions over connections and their last samples, both of which the view fetches; only the
sparklines of the shown page are asked of the database here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import QueryDict

from accounts.models import Role
from connections.models import Connection, Status
from metrics.pages import sparklines
from metrics.pages.sparklines import Sparkline
from metrics.pages.summaries import Summary, summarise

PAGE = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One machine of the overview."""

    connection: Connection
    summary: Summary
    role: str
    spark: Sparkline | None = None

    @property
    def may_operate(self) -> bool:
        return self.role != Role.VIEWER

    @property
    def cores_width(self) -> int:
        """Room for the bars of its GPUs; few of them keep the width that eight would have."""
        return max(8, len(self.summary.gpu_percents))

    @property
    def is_idle(self) -> bool:
        """Its numbers are old: they are shown greyed."""
        return self.connection.status != Status.CONNECTED

    @property
    def last_seen(self) -> datetime | None:
        if self.summary.recorded_at is not None:
            return datetime.fromisoformat(self.summary.recorded_at)
        return self.connection.last_connected_at


@dataclass(frozen=True, slots=True)
class Column:
    """A sortable column; `css` is the class of its cells."""

    key: str
    title: str
    value: Callable[[Line], Any]
    css: str = ""


COLUMNS: tuple[Column, ...] = (
    Column("name", "Machine", lambda line: line.connection.name.casefold()),
    Column("gpu", "GPU", lambda line: line.summary.gpu_percent),
    Column("memory", "GPU memory", lambda line: line.summary.memory_percent),
    Column("temperature", "°C", lambda line: line.summary.temperature_c, "number"),
    Column("power", "Watts", lambda line: line.summary.power_watts, "number"),
    Column("users", "In use by", lambda line: ",".join(line.summary.users) or None),
    Column("seen", "Last seen", lambda line: line.last_seen, "col-seen"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the query string asks for; anything unknown falls back to the default."""

    status: str = ""
    tag: str = ""
    text: str = ""
    sort: str = "name"
    is_descending: bool = False

    @classmethod
    def read(cls, query: QueryDict) -> "Choice":
        status, sort = query.get("state", ""), query.get("sort", "")
        return cls(
            status=status if status in Status.values else "",
            tag=query.get("tag", "")[:100],
            text=query.get("q", "").strip()[:100],
            sort=sort if sort in {column.key for column in COLUMNS} else "name",
            is_descending=query.get("dir") == "desc",
        )

    def fits(self, line: Line) -> bool:
        connection = line.connection
        words = " ".join((connection.name, connection.hostname, *connection.tags)).casefold()
        return (
            self.status in ("", connection.status)
            and (not self.tag or self.tag in connection.tags)
            and self.text.casefold() in words
        )


def lines(
    connections: Iterable[Connection],
    samples: Mapping[UUID, Mapping[str, Any]],
    roles: Mapping[UUID, str],
) -> list[Line]:
    """One line per machine; `roles` maps a team to the person's role in it."""
    return [
        Line(row, summarise(samples.get(row.pk)), roles.get(row.team_id, Role.VIEWER))
        for row in connections
    ]


def chosen(all_lines: Iterable[Line], choice: Choice) -> list[Line]:
    """Filtered and sorted; machines without the value come last either way."""
    value = next(column.value for column in COLUMNS if column.key == choice.sort)
    fitting = sorted(
        (line for line in all_lines if choice.fits(line)),
        key=lambda line: line.connection.name.casefold(),
    )
    known = [line for line in fitting if value(line) is not None]
    unknown = [line for line in fitting if value(line) is None]
    return sorted(known, key=value, reverse=choice.is_descending) + unknown


def with_sparklines(shown: Iterable[Line], now: datetime) -> list[Line]:
    """The lines of one page with their last half hour; one query however many there are."""
    listed = list(shown)
    sparks = sparklines.of([line.connection.pk for line in listed], now)
    return [replace(line, spark=sparks[line.connection.pk]) for line in listed]


def counts(all_lines: Iterable[Line]) -> list[tuple[str, int]]:
    """How many machines are in each state, in the order of the states."""
    found = Counter(line.connection.status for line in all_lines)
    return [(status, found[status]) for status in Status.values if found[status]]


def tags(all_lines: Iterable[Line]) -> list[str]:
    return sorted({tag for line in all_lines for tag in line.connection.tags})[:30]
