"""The page that compares: what its address asks for, its tables, its curves, its file.

The address holds one `item` per curve: the id of a machine, a range, and the GPU if it is one,
joined by commas. Whatever cannot be read or seen is left out and said, so that an old link still
shows the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from accounts.policy import Caller
from connections import services
from connections.models import Connection
from core import spreadsheet
from core.errors import SiteError
from core.formats import ABSENT, number, quantity, rate
from core.times import iso
from metrics import charts
from metrics.compare import table
from metrics.compare.table import Comparison, Item

# Enough for a curve on a screen; the figures are of every row.
POINTS = 400
_UNITS = {
    "percent": lambda value: quantity(value, "%", 1),
    "celsius": lambda value: quantity(value, "°C", 1),
    "watts": lambda value: quantity(value, "W", 1),
    "bytes_per_second": rate,
}
_RANGE_NAMES = {key: name for key, _, name in charts.RANGES}
_GRAINS = {"raw": "20 seconds", "hourly": "hours", "daily": "days"}
_FIGURES = ("mean", "p95", "max")


@dataclass(frozen=True, slots=True)
class Wish:
    """One `item` of the address."""

    text: str
    connection: Connection
    range_text: str
    gpu: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, as text; `place` gives the curve its colour."""

    place: int
    label: str
    cells: Sequence[str]
    difference: str


@dataclass(frozen=True, slots=True)
class Section:
    """One series: its chart and its table."""

    key: str
    title: str
    icon: str
    unit: str
    ceiling: int | None
    rows: Sequence[Row]


def item_text(connection_id: UUID | str, range_text: str, gpu: int | None) -> str:
    """How an item stands in the address."""
    return f"{connection_id},{range_text}" + ("" if gpu is None else f",{gpu}")


def address(texts: Sequence[str]) -> str:
    """The query string of these items."""
    return "?" + urlencode([("item", text) for text in texts], safe=",:/")


def read(caller: Caller, texts: Sequence[str], now: datetime) -> tuple[list[Item], list[str]]:
    """The items that can be shown, and a sentence for each of the others."""
    items: list[Item] = []
    problems: list[str] = []
    for text in texts[: table.MOST_ITEMS]:
        try:
            items.append(_item(caller, text, now))
        except SiteError as error:
            problems.append(f"{text[:60]}: {error.detail}")
    if len(texts) > table.MOST_ITEMS:
        problems.append(f"Only the first {table.MOST_ITEMS} are shown.")
    return items, problems


def _item(caller: Caller, text: str, now: datetime) -> Item:
    key, _, rest = text.partition(",")
    range_text, _, gpu = rest.partition(",")
    try:
        row = services.find(caller, UUID(key), "metrics.view")
    except ValueError:
        raise SiteError("This is no machine.") from None
    span = table.span_of(range_text, now)
    return Item(row, span, table.gpu_of(gpu), range_text)


def text_of(item: Item) -> str:
    return item_text(item.connection.pk, item.range_text, item.gpu)


def label(item: Item) -> str:
    """`Spark 1, last 24 hours, GPU 3`."""
    span = _RANGE_NAMES.get(item.range_text)
    when = span or f"from {item.span.start:%Y-%m-%d %H:%M} UTC"
    return ", ".join(
        [item.connection.name, when, *([] if item.gpu is None else [f"GPU {item.gpu}"])]
    )


def sections(found: Sequence[Comparison]) -> list[Section]:
    """A chart and a table for each series that anything reported."""
    known = [
        (chart, line, len(chart.lines) > 1)
        for chart in charts.CHARTS
        for line in chart.lines
        if any(one.summary[line.metric].max is not None for one in found)
    ]
    return [
        Section(
            line.metric,
            f"{chart.title}, {line.label}" if is_one_of_several else chart.title,
            chart.icon,
            chart.unit,
            chart.ceiling,
            [
                _row(place, one, line.metric, chart.unit, found[0])
                for place, one in enumerate(found)
            ],
        )
        for chart, line, is_one_of_several in known
    ]


def _row(place: int, one: Comparison, metric: str, unit: str, first: Comparison) -> Row:
    figures, show = one.summary[metric], _UNITS[unit]
    cells = [show(getattr(figures, name)) for name in _FIGURES]
    return Row(
        place, label(one.item), cells, _more(place, figures.mean, first.summary[metric].mean)
    )


def energy_rows(found: Sequence[Comparison]) -> list[Row]:
    """How long each item is, and what it took."""
    first = found[0].energy_wh if found else None
    return [
        Row(
            place,
            label(one.item),
            [_kilowatt_hours(one.energy_wh), _GRAINS[one.curves.tier.name]],
            _more(place, one.energy_wh, first),
        )
        for place, one in enumerate(found)
    ]


def _kilowatt_hours(value: float | None) -> str:
    if value is None:
        return ABSENT
    return quantity(value, "Wh", 1) if value < 1000 else quantity(value / 1000, "kWh", 2)


def _more(place: int, value: float | None, first: float | None) -> str:
    if place == 0:
        return "reference"
    percent = table.difference(value, first)
    if percent is None:
        return ABSENT
    sign = "+" if percent >= 0 else "−"
    return f"{sign}{number(abs(percent), 1)}\u00a0%"


def curves(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """What the script draws: seconds from the start on, and the means of each series."""
    return [
        {
            "label": label(one.item),
            "length": (one.item.span.end - one.item.span.start).total_seconds(),
            "offsets": body["series"].pop("offset_seconds"),
            "series": {
                name: column["avg"]
                for name, column in body["series"].items()
                if name in table.SERIES
            },
        }
        for one in found
        for body in [table.as_dict(one)]
    ]


def as_csv(found: Sequence[Comparison]) -> Iterator[str]:
    """One line per item and series: the figures in base units, an absent one empty."""
    head = ("machine", "connection_id", "start", "end", "gpu", "tier", "energy_wh", "series")
    return spreadsheet.lines((*head, *_FIGURES), _csv_rows(found))


def _csv_rows(found: Sequence[Comparison]) -> Iterator[tuple[object, ...]]:
    for one in found:
        item = one.item
        gpu = "all" if item.gpu is None else item.gpu
        span = (iso(item.span.start), iso(item.span.end))
        start = (item.connection.name, str(item.connection.pk), *span, gpu, one.curves.tier.name)
        for name, of in one.summary.items():
            yield (*start, one.energy_wh, name, of.mean, of.p95, of.max)
