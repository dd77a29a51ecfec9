"""The page that compares runs: what its address asks for, its cells as text, its chart, its file.

The address holds one `job` per run, `show=all` for settings that agree too, `value` and `by` for
the chart. It is the whole of the comparison, so that it can be sent to somebody.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from core import spreadsheet
from core.errors import NotFound
from core.formats import ABSENT, duration, number, quantity, size
from jobs.compare import load
from jobs.compare.load import By, Compared
from jobs.compare.table import MOST_RUNS, Group, Row, Unit, Value
from jobs.models import Job
from jobs.tracking import metric_order

# Longer texts are cut on the page; the file and the API have them whole.
_SHOWN = 1000
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for; `left_out` runs are more than can be shown."""

    ids: tuple[UUID, ...]
    left_out: int
    with_equal: bool
    value: str
    by: By

    def query(self, **changes: Any) -> str:
        """The query string of this comparison, or of one that differs in something."""
        wanted = replace(self, **changes)
        pairs = [("job", str(one)) for one in wanted.ids]
        pairs += [("show", "all")] if wanted.with_equal else []
        pairs += [("value", wanted.value)] if wanted.value else []
        pairs += [("by", wanted.by)] if wanted.by != "step" else []
        return "?" + urlencode(pairs)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as text; `more` is how far it is from the first run's."""

    text: str
    job: Job
    moment: datetime | None = None
    is_best: bool = False
    more: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table, ready to be shown."""

    key: str
    title: str
    unit: Unit
    cells: list[Cell]


def read(query: QueryDict) -> Wish:
    """Raises `NotFound` for what is no id of a job."""
    try:
        ids = tuple(dict.fromkeys(UUID(text) for text in query.getlist("job")))
    except ValueError:
        raise NotFound from None
    return Wish(
        ids[:MOST_RUNS],
        len(ids[MOST_RUNS:]),
        query.get("show") == "all",
        query.get("value", "")[:200],
        "seconds" if query.get("by") == "seconds" else "step",
    )


# --- The table -----------------------------------------------------------------------------------


def sections(
    groups: Sequence[Group], found: Sequence[Compared], currency: str
) -> list[tuple[Group, list[Line]]]:
    """Each group with its rows as text."""
    jobs = [one.job for one in found]
    return [(group, [_line(row, jobs, currency) for row in group.rows]) for group in groups]


def _line(row: Row, jobs: Sequence[Job], currency: str) -> Line:
    cells = [
        Cell(
            text=_text(row.unit, value, currency),
            job=job,
            moment=_moment(row.unit, value),
            is_best=place in row.best,
            more=_more(row.differences[place]) if row.differences else "",
        )
        for place, (value, job) in enumerate(zip(row.values, jobs, strict=True))
    ]
    return Line(row.key, row.title, row.unit, cells)


def _text(unit: Unit, value: Value, currency: str) -> str:
    if value is None:
        return ABSENT
    if unit == "money":
        return f"{_plain(value, lambda cost: number(cost, 2))} {currency}".strip()
    return _plain(value, _SHOW.get(unit, significant))


def _plain(value: Value, show: Callable[[float], str]) -> str:
    if isinstance(value, (int, float)):
        return show(value)
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def significant(value: float) -> str:
    """A printed value: five digits that mean something; a whole number whole."""
    return str(value) if isinstance(value, int) else f"{value:.{_DIGITS}g}"


def _watt_hours(value: float) -> str:
    return quantity(value, "Wh", 1) if value < 1000 else quantity(value / 1000, "kWh", 2)


_SHOW: Mapping[Unit, Callable[[float], str]] = {
    "code": str,
    "seconds": duration,
    "watt_hours": _watt_hours,
    "percent": lambda value: quantity(value, "%", 1),
    "bytes": size,
}


def _moment(unit: Unit, value: Value) -> datetime | None:
    return datetime.fromisoformat(str(value)) if unit == "moment" and value else None


def _more(percent: float | None) -> str:
    if not percent:  # the first run's own, not told, or the same
        return ""
    sign = "+" if percent >= 0 else "−"
    return f"{sign}{number(abs(percent), 1)}\u00a0%"


# --- The chart -----------------------------------------------------------------------------------


def chosen_value(wish: Wish, found: Sequence[Compared]) -> tuple[str, list[str]]:
    """The printed value whose curves are drawn, and those that there are; empty without any.

    Unless one is asked for: what most runs printed, of these what a run is judged by.
    """
    names = metric_order.in_order({name for one in found for name in one.curves.by_name})
    if wish.value in names or not names:
        return wish.value if names else "", names
    return max(names, key=lambda name: sum(name in one.curves.by_name for one in found)), names


def curves(found: Sequence[Compared], name: str, by: By) -> list[dict[str, Any]]:
    """What the script draws; a run that did not print the value has an empty curve."""
    lines = load.lines(found, name, by)
    return [
        {
            "label": one.run.name,
            "length": line.x[-1] if line and line.x else 0,
            "offsets": line.x if line else [],
            "series": {"printed": line.y if line else []},
        }
        for one, line in zip(found, lines, strict=True)
    ]


# --- The file ------------------------------------------------------------------------------------


def as_csv(found: Sequence[Compared], groups: Sequence[Group]) -> Iterator[str]:
    """The table as it is, in base units; an absent value is an empty cell."""
    head = ["group", "row", "unit", *(f"run {place}" for place in range(1, len(found) + 1))]
    return spreadsheet.lines(head, _csv_rows(found, groups))


def _csv_rows(found: Sequence[Compared], groups: Sequence[Group]) -> Iterator[list[object]]:
    yield ["run", "name", "text", *(one.run.name for one in found)]
    yield ["run", "id", "text", *(one.run.id for one in found)]
    for group in groups:
        for row in group.rows:
            yield [group.key, row.key, row.unit, *row.values]
